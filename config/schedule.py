"""What beat sends. Each entry expires before its next run (practice 5)."""

from datetime import timedelta

from workers.schedule import every

SCHEDULE = {
    "sweep jobs every 10 seconds": every(timedelta(seconds=10), "workers.default.tasks.sweep_jobs"),
    "collect task runs every 10 seconds": every(timedelta(seconds=10), "workers.default.tasks.collect_runs"),
    "roll up task runs every hour": every(timedelta(hours=1), "workers.highmem.tasks.roll_up_runs"),
    "delete what is old every 10 minutes": every(timedelta(minutes=10), "workers.highmem.tasks.delete_old"),
}
