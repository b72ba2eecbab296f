"""The tasks of the video worker, which runs one at a time: ffmpeg uses all cores."""

import logging
from dataclasses import asdict
from pathlib import PurePath

from celery import shared_task

from workers import jobs
from workers.storage.workspace import open_workspace
from workers.video import ffmpeg, sandbox

log = logging.getLogger(__name__)

TIME_LIMIT_SECONDS = 2 * 3600  # of ffmpeg; the limits of the task leave half an hour for copies
PAUSE_SECONDS = 5  # after ffmpeg was stopped
MAX_STALLS = 10  # then the job fails: something stops ffmpeg each time


@shared_task(soft_time_limit=TIME_LIMIT_SECONDS + 1800, time_limit=TIME_LIMIT_SECONDS + 1860)
def transcode_video(job_id: str) -> None:
    with jobs.working_on(job_id) as job, open_workspace(job.report) as files:
        stored = job.arguments["source"]
        source, results = files.fetch(stored), files.results_folder(str(PurePath(stored).parent))
        target, poster = results / "video.mp4", results / "poster.jpg"
        try:
            made = ffmpeg.transcode(source, target, poster, report=files.report, time_limit=TIME_LIMIT_SECONDS)
        except sandbox.StalledError as error:
            log.warning("ffmpeg_stalled")
            if job.count_failure() >= MAX_STALLS:
                error.sentence = jobs.user_messages.STALLED_TOO_OFTEN
                raise
            raise jobs.RetryLater(PAUSE_SECONDS, error.sentence) from error
        job.result = asdict(made)
