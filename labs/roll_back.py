"""Does the sweep run again after a rollback and a roll-forward? `python -m labs roll_back [rounds]`.

Each round stops beat, starts that of a release without the sweep, which disables its entry, stops it at a random moment
and starts ours again. Printed: the seconds from that stop to the end of the first sweep. Exit code 1 if one took longer
than 20 s, or if the doctor did not name the entry while it was disabled.
"""

import json
import random
import sys
import time
from datetime import datetime

from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from devtools.processes import celery, stop, wait_until, worker
from workers.models import TaskRun
from workers.practices import recurring

SWEEP, TASK = "sweep jobs every 10 seconds", "workers.default.tasks.sweep_jobs"
BEAT = ("beat", "--pidfile=")
MAX_SECONDS = 20.0


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seconds, named = [], 0
    with worker("default"):
        with celery(*BEAT, app="config") as newer:
            end_of_next_sweep(timezone.now())
            stop(newer)
        for number in range(1, rounds + 1):
            with celery(*BEAT, app="labs.older_release") as older:
                wait_until(lambda: not PeriodicTask.objects.get(name=SWEEP).enabled, "the rollback")
                named += f"{SWEEP}: It is disabled" in recurring.verify().reason
                time.sleep(random.uniform(0, 3))
                stopped_at = timezone.now()
                stop(older)
            with celery(*BEAT, app="config") as newer:
                seconds.append((end_of_next_sweep(stopped_at) - stopped_at).total_seconds())
                stop(newer)
            print(f"{number}: {seconds[-1]:.1f} s", flush=True)
    print(json.dumps({"rounds": rounds, "longest": round(max(seconds), 1), "named": named}))
    return int(max(seconds) > MAX_SECONDS or named < rounds)


def end_of_next_sweep(since: datetime) -> datetime:
    runs = TaskRun.objects.filter(task=TASK, outcome=TaskRun.Outcome.SUCCEEDED, ended_at__gt=since)
    wait_until(runs.exists, "the sweep", interval=0.5)
    return runs.earliest("ended_at").ended_at
