"""What runs on the video worker: one transcode at a time, since ffmpeg uses the cores itself."""

from dataclasses import asdict
from pathlib import Path

from celery import shared_task
from django.core.files.storage import default_storage

from workers import jobs
from workers.video import ffmpeg

TIME_LIMIT = 2 * 3600  # seconds for ffmpeg; Celery's own limits stand a little above


@shared_task(soft_time_limit=TIME_LIMIT + 60, time_limit=TIME_LIMIT + 120)
def transcode_video(job_id: str) -> None:
    """Makes `video.mp4` and `poster.jpg` beside the job's source."""
    with jobs.working_on(job_id) as job:
        source = Path(default_storage.path(job.arguments["source"]))
        target, poster = source.with_name("video.mp4"), source.with_name("poster.jpg")
        made = ffmpeg.transcode(source, target, poster, report=job.report, time_limit=TIME_LIMIT)
        job.result = asdict(made)
