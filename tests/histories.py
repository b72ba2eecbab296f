"""A day behind a site, as the pages of the staff show it: quiet, or in trouble."""

import json
import math
import time
from datetime import timedelta

from django.utils import timezone
from django_redis import get_redis_connection

from mediaapp.models import User
from tests.factories import upload_of
from workers.models import Deploy, Job, Pause, QueueHour, QueueSample, TaskHour, TaskRun
from workers.queues import table
from workers.telemetry import liveness
from workers.telemetry.held_locks import PREFIX
from workers.telemetry.liveness import HungProcess, Worker, WorkerLoad
from workers.telemetry.recorder import HEARTBEATS

TASK = "workers.video.tasks.transcode_video"
MEGABYTE = 1_000_000
TRACEBACK = """Traceback (most recent call last):
  File "workers/video/encode.py", line 61, in encode
    raise VideoUnreadable(sentence)
VideoUnreadable: moov atom not found
"""


def fill_day(owner: User, *, in_trouble: bool) -> None:
    """Instead of what another call has written."""
    for model in (Deploy, Job, Pause, QueueHour, QueueSample, TaskHour, TaskRun):
        model.objects.all().delete()
    get_redis_connection("locks").flushdb()
    Deploy.objects.create(release="v41 1a2b3c4", began_at=timezone.now() - timedelta(hours=20))
    Deploy.objects.create(release="v42 5d6e7f8", began_at=timezone.now() - timedelta(hours=3))
    _fill_samples(in_trouble)
    _fill_hours(in_trouble)
    _fill_runs(owner, in_trouble)
    upload_of(owner, "running", name="A holiday at the sea, uncut.mov", attempt=1, worker="video@host-video")
    for minutes in range(3 if in_trouble else 1):
        queued_at = timezone.now() - timedelta(minutes=40 - minutes)
        upload_of(owner, "queued", name=f"Interview {minutes + 1}.mp4", queued_at=queued_at)
    if in_trouble:
        Pause.objects.create(kind="queue", name="imports", paused_by="stella")


def _fill_samples(in_trouble: bool) -> None:
    now, samples, finished = timezone.now(), [], 0
    for number in range(288 * 2, 0, -1):
        hours_ago = number / 24
        rush = max(0.0, math.sin(number / 40)) * 12
        late = in_trouble and hours_ago < 2
        waiting = int(rush + (40 * (2 - hours_ago) if late else 0))
        finished += 0 if late else 3 + number % 3
        if 200 < number < 215:
            continue  # beat was down
        taken_at = now - timedelta(seconds=150 * number - 140)
        if in_trouble and now - taken_at < timedelta(minutes=15):
            continue  # and is down again
        level = {"waiting": waiting, "oldest_seconds": waiting * 25.0 or None, "consumers": 0 if late else 1}
        samples += [
            QueueSample(queue=queue, taken_at=taken_at, unacked=1, finished=finished, **level)
            for queue in table().queues
        ]
    QueueSample.objects.bulk_create(samples)


def _fill_hours(in_trouble: bool) -> None:
    hour, hours, queue_hours = timezone.now().replace(minute=0, second=0, microsecond=0), [], []
    for number in (*range(24 * 31), *range(24 * 31, 24 * 365, 24)):  # all hours of a month, one a day before
        slow = 2.5 if in_trouble and number < 3 else 1 + math.sin(number / 30) / 5
        hours.append(
            TaskHour(
                task=TASK,
                queue="video",
                hour=hour - timedelta(hours=number),
                outcomes={
                    "succeeded": 60 + number % 17,
                    "failed": 9 if in_trouble and number < 3 else int(number % 11 == 0),
                },
                runs=60 + number % 17,
                run_p50=40 * slow,
                run_p95=95 * slow,
                run_max=300 * slow,
                wait_p50=2.0,
                wait_p95=20.0 * slow**3,
                wait_max=70.0 * slow**3,
                peak_p95=int(180 * MEGABYTE * slow),
                peak_max=int(240 * MEGABYTE * slow),
            )
        )
        queue_hours.append(
            QueueHour(
                queue="video",
                hour=hour - timedelta(hours=number),
                waiting_p50=3,
                waiting_max=int(10 + 8 * math.sin(number / 200)),
                oldest_max=120 + 80 * math.sin(number / 50),
                arrived=70,
                finished=70 + number % 3,
            )
        )
    TaskHour.objects.bulk_create(hours)
    QueueHour.objects.bulk_create(queue_hours)


def _fill_runs(owner: User, in_trouble: bool) -> None:
    now = timezone.now()
    runs = [
        TaskRun(
            id=number,
            task=TASK,
            queue="video",
            worker="video@host",
            release="v42 5d6e7f8",
            outcome="succeeded",
            ended_at=now - timedelta(seconds=50 * number),
            wait_seconds=number % 9,
            run_seconds=(250 if in_trouble else 40) + number,
            peak_bytes=190 * MEGABYTE,
        )
        for number in range(1, 60)
    ]
    for number, hour in enumerate(TaskHour.objects.filter(hour__gt=now - timedelta(hours=30))):
        ended_at, slowest = hour.hour + timedelta(minutes=5), {"run_seconds": hour.run_max, "peak_bytes": hour.peak_max}
        runs.append(
            TaskRun(id=200 + number, task=TASK, queue="video", outcome="succeeded", ended_at=ended_at, **slowest)
        )
    if in_trouble:
        failed = upload_of(
            owner, "failed", name="broken.mkv", detail=TRACEBACK, error="VideoUnreadable: moov atom not found"
        )
        for number, extra in enumerate([{"job_id": failed.pk}, {"error": TRACEBACK}, {"outcome": "lost"}]):
            fields = {"outcome": "failed", "worker": "video@host", "release": "v42 5d6e7f8"} | extra
            ended_at = now - timedelta(minutes=20 * number + 5)
            runs.append(TaskRun(id=100 + number, task=TASK, queue="video", ended_at=ended_at, run_seconds=9, **fields))
    TaskRun.objects.bulk_create(runs)


def give_signs_of_life(*, in_trouble: bool) -> None:
    """What living processes write on the server of the locks every two seconds."""
    job = Job.objects.get(state="running")
    now, redis = time.time(), get_redis_connection("locks")
    started_at = job.queued_at.timestamp() - 11_000
    for worker in table().workers:
        name, queues = f"{worker.name}@host-{worker.name}", [queue.name for queue in worker.queues]
        is_silent, hangs = in_trouble and worker.name == "highmem", in_trouble and worker.name == "video"
        hung = [HungProcess(TASK, 21.0, has_begun=True)] if hangs else []
        paused = [queue for queue in queues if in_trouble and queue == "imports"]
        beat_at = now - 45 if is_silent else now
        living = Worker(name, queues, started_at=started_at, beat_at=beat_at, hung=hung)
        load = WorkerLoad(worker.concurrency, int(worker.name == "video"), 310 * MEGABYTE, "v42 5d6e7f8", paused)
        liveness.beat(living, load)
    run = {"task": TASK, "queue": "video", "worker": "video@host-video", "pid": 7, "run_seconds": 74.0}
    redis.hset(HEARTBEATS, f"{job.pk} 1", json.dumps(run | {"ended_at": now, "job_id": str(job.pk), "idle_seconds": 0}))
    if not in_trouble:
        redis.set(f"{PREFIX}beat", f"host-beat 7 {int(started_at)} 0123456789abcdef", ex=600)
