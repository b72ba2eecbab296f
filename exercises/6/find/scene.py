# A job whose work moves very slowly: it reports five times a second for three minutes. What an earlier start has left
# is deleted before.
import subprocess
import sys

SLOW_JOB = """
import time
from django.utils import timezone
from workers import jobs
from workers.models import Job

TASK, WORK = "workers.video.tasks.transcode_video", {"source": "exercises/slow"}
Job.objects.filter(arguments=WORK).delete()
now = timezone.now()
job = Job.objects.create(task=TASK, queue="video", arguments=WORK, queued_at=now, dispatched_at=now)
with jobs.working_on(str(job.id)) as attempt:
    for step in range(900):
        attempt.report(step, 10_000_000, "encoding")
        time.sleep(0.2)
"""
subprocess.Popen(
    [sys.executable, "manage.py", "shell", "--command", SLOW_JOB],
    stdin=subprocess.DEVNULL,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
    start_new_session=True,
)
