"""The nightly task deletes what is too old, and nothing else."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from workers import jobs
from workers.highmem import retention
from workers.models import Job
from workers.storage import cleanup

DAY = 24 * 3600


def test_temporary_files_of_uploads_are_deleted_after_a_day(settings, tmp_path: Path):
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    for name, age in (("old", 2 * DAY), ("new", 60)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    assert cleanup.delete_broken_uploads() == 1
    assert [file.name for file in tmp_path.iterdir()] == ["new"]


@pytest.mark.django_db
def test_ended_jobs_that_no_page_shows_are_deleted_after_a_day(alice):
    mail, video = "workers.default.tasks.send_password_reset", "workers.video.tasks.transcode_video"
    old = timezone.now() - timedelta(days=2)
    kept = set()
    for task, state, ended in (
        (mail, Job.State.DONE, old),
        (mail, Job.State.DONE, timezone.now()),
        (mail, Job.State.QUEUED, None),
        (video, Job.State.DONE, old),
    ):
        job = jobs.create(task, owner_id=alice.pk, arguments={})
        Job.objects.filter(pk=job.pk).update(state=state, finished_at=ended)
        if (task, ended) != (mail, old):
            kept.add(job.pk)
    assert retention.delete_hidden_jobs() == 1
    assert set(Job.objects.values_list("pk", flat=True)) == kept
