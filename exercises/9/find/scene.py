# An hour of runs, as the rollup writes it. Its largest report, of 1,900 MB, was made up for this exercise.
from datetime import timedelta

from django.utils import timezone

from workers.models import TaskHour

hour = (timezone.now() - timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
figures = {"outcomes": {"succeeded": 4}, "runs": 4, "run_p50": 40, "run_p95": 90, "run_max": 90}
figures |= {"peak_p95": 1900 * 1024**2, "peak_max": 1900 * 1024**2}
TaskHour.objects.update_or_create(
    task="workers.highmem.tasks.report_on_rows", queue="highmem", hour=hour, defaults=figures
)
