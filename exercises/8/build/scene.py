"""A queue that shrinks: 200 messages ten minutes ago, 20 now. It is paused, so that nobody empties it."""

import time
from datetime import timedelta
from uuid import uuid4

from django.utils import timezone

from workers.brokers.connection import count_ready
from workers.models import Pause, QueueSample
from workers.runtime import publishing
from workers.telemetry import pauses

pauses.pause(Pause.Kind.QUEUE, "video", "the exercise")
time.sleep(10)  # until the worker knows
while count_ready("video") < 20:
    publishing.publish("workers.video.tasks.transcode_video", str(uuid4()), "video")
taken_at = timezone.now() - timedelta(minutes=10)
# finished: since then 180 have ended, and none of them is counted anywhere.
counts = {"waiting": 200, "unacked": 0, "consumers": 1, "oldest_seconds": 60, "finished": -180}
if not QueueSample.objects.filter(queue="video", waiting=200).exists():
    QueueSample.objects.create(queue="video", taken_at=taken_at, **counts)
