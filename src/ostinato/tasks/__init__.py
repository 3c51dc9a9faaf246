"""Tasks: one estimator each, found by the name of its file."""
