# A steady week of films, made up for this exercise: each hour has 20 runs of 36 to 44 s. One or two of them take three
# times as long, because some films are long. The last hour has two.
from datetime import timedelta

from django.utils import timezone

from workers.models import TaskHour, TaskRun

TASK, RUNS = "workers.video.tasks.transcode_video", 20
now = timezone.now()
hour = now.replace(minute=0, second=0, microsecond=0)
for records in (TaskRun, TaskHour):
    records.objects.filter(task=TASK).delete()
figures = {"outcomes": {"succeeded": RUNS}, "runs": RUNS, "run_p50": 40, "run_max": 120}
TaskHour.objects.bulk_create(
    TaskHour(task=TASK, queue="video", hour=hour - timedelta(hours=age), run_p95=120 if age % 4 == 0 else 44, **figures)
    for age in range(2, 168)
)
names = {"task": TASK, "queue": "video", "worker": "video@host", "outcome": "succeeded", "wait_seconds": 1}
TaskRun.objects.bulk_create(
    TaskRun(
        id=int(now.timestamp() * 1000) - number << 20,
        ended_at=now - timedelta(minutes=2 * number),
        run_seconds=120 if number % 10 == 0 else 36 + number % 9,
        **names,
    )
    for number in range(RUNS)
)
