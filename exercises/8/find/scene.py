# Three films wait with a message, the first for 45 minutes. The queue is paused, so that no worker begins them while
# you look. What an earlier start has left is deleted before: its rows, and its messages in the queue.
import time
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from workers import jobs
from workers.brokers.connection import connect
from workers.models import Job, Pause
from workers.telemetry import pauses

TASK, WORK = "workers.video.tasks.transcode_video", {"source": "exercises/waits"}
pauses.pause(Pause.Kind.QUEUE, "video", by="demo")
pauses.write_copy()
time.sleep(6)  # the worker asks every 2 s what is paused
Job.objects.filter(arguments=WORK).delete()
with connect() as connection:
    connection.default_channel.queue_purge("video")
for minutes in (45, 30, 15):
    clicked = timezone.now() - timedelta(minutes=minutes)
    with transaction.atomic():  # or the sweep publishes it, too
        jobs.publish(Job.objects.create(task=TASK, queue="video", arguments=WORK, queued_at=clicked))
