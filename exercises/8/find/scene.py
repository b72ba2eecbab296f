# Three films wait with a message, the first for 45 minutes. The queue is paused, so that no worker begins them while
# you look. What an earlier start has left is deleted before, rows and messages, so that the card counts three again.
import time
from datetime import timedelta

from celery import current_app
from django.utils import timezone

from workers import jobs
from workers.models import Job, Pause
from workers.telemetry import pauses

TASK, WORK = "workers.video.tasks.transcode_video", {"source": "exercises/waits"}
pauses.pause(Pause.Kind.QUEUE, "video", by="demo")
pauses.write_copy()
time.sleep(6)  # the worker asks every 2 s what is paused
Job.objects.filter(arguments=WORK).delete()
with current_app.connection_for_write() as connection:
    connection.default_channel.queue_purge("video")
now = timezone.now()
for minutes in (45, 30, 15):
    # dispatched_at: else the sweep may see an old row without a message, and publish it a second time
    times = {"queued_at": now - timedelta(minutes=minutes), "dispatched_at": now}
    jobs.publish(Job.objects.create(task=TASK, queue="video", arguments=WORK, **times))
