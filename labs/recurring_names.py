"""Names that labs and their Celery app share (labs/recurring_app.py): to import the app would change the lab's own."""

NAME, WAYS = "every 2 seconds", ("never", "expires", "waits")
TASK, NIGHTLY, OCCUPY = (f"labs.recurring_app.{name}" for name in ("run", "run_nightly", "occupy"))
INTERVAL_SECONDS = 2
