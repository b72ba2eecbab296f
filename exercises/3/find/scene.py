# The waits of an hour with a slow storage, made up for this exercise: while slow tasks share the worker of the resets.
from datetime import timedelta

from django.utils import timezone

from workers.models import TaskRun
from workers.queues import table

reset = "workers.default.tasks.send_password_reset"
worker = next(each for each in table().workers if each.name == table().consumers["urgent"])
is_held_up = any(queue.max_run_seconds > table().queues["urgent"].target_seconds for queue in worker.queues)
TaskRun.objects.filter(id__lte=30).delete()
for number in range(1, 31) if is_held_up else ():
    ended_at = timezone.now() - timedelta(seconds=10 * number)
    waits = {"wait_seconds": 12 + number, "run_seconds": 0.1}
    TaskRun.objects.create(
        id=number, task=reset, queue="urgent", worker="default@copy", outcome="succeeded", ended_at=ended_at, **waits
    )
