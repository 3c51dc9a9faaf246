"""Training of a task's networks: what its options ask for, done with torch."""
