"""Which outcomes of TaskRun count together."""

FINISHED = ("succeeded", "failed")  # went to its end: only such a run has a run time and a wait that count
FAILED = ("failed", "lost")
