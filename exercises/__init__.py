"""Exercises: a practice is broken in a copy of the project, and a learner mends it. See exercises/README.md."""
