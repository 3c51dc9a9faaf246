"""The pieces of the task `generate`."""
