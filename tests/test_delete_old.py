"""The recurring task deletes what is too old, and nothing else, in bounded time."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.utils import timezone

from devtools.processes import ROOT
from workers import jobs
from workers.highmem import retention
from workers.models import Job
from workers.practices.locks import Lease, LeaseLost
from workers.runtime import stopping
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
    change, old = "workers.highmem.tasks.change_jobs", timezone.now() - timedelta(days=2)
    kept = set()
    for task, state, ended in (
        (mail, Job.State.DONE, old),
        (mail, Job.State.DONE, timezone.now()),
        (mail, Job.State.QUEUED, None),
        (video, Job.State.DONE, old),
        (change, Job.State.DONE, old),
    ):
        job = jobs.create(task, owner_id=alice.pk, arguments={})
        Job.objects.filter(pk=job.pk).update(state=state, finished_at=ended)
        if (task, ended) != (mail, old):
            kept.add(job.pk)
    assert retention.delete_hidden_jobs() == 1
    assert set(Job.objects.values_list("pk", flat=True)) == kept


@pytest.mark.django_db
def test_a_change_of_many_jobs_which_the_action_log_names_is_kept_for_a_month(settings):
    change = "workers.highmem.tasks.change_jobs"
    made = [jobs.create(change, owner_id=None, arguments={}, publish_now=False) for _ in range(3)]
    for job, days in zip(made, (29, 31, 31), strict=True):
        ended = timezone.now() - timedelta(days=days)
        Job.objects.filter(pk=job.pk).update(state=Job.State.DONE, finished_at=ended)
    Job.objects.filter(pk=made[2].pk).update(state=Job.State.RUNNING)
    assert [retention.delete_old_changes(), retention.delete_old_changes()] == [1, 0]
    assert set(Job.objects.values_list("pk", flat=True)) == {made[0].pk, made[2].pk}
    settings.KEEP_SOURCES_DAYS = 28
    assert retention.delete_old_changes() == 1


def test_a_clean_up_that_fails_or_never_ends_leaves_time_to_the_others(settings, monkeypatch, caplog):
    calls = {"first": 0, "second": 0}

    def endless() -> int:
        calls["first"] += 1
        return 1

    def failing() -> int:
        raise OSError("the storage is away")

    def last() -> int:
        calls["second"] += 1
        return 0

    settings.CLEAN_UPS = []
    monkeypatch.setattr(retention, "CLEAN_UPS", (endless, failing, last))
    monkeypatch.setattr(retention, "MAX_SECONDS", 0.3)
    began = time.monotonic()
    retention.run_cleanups(Lease("delete_old"))
    assert time.monotonic() - began < 30
    assert calls["first"] > 1
    assert calls["second"] == 1
    assert "cleanup_failed cleanup=failing" in caplog.text


def test_a_run_that_lost_its_lock_or_whose_worker_stops_deletes_nothing_more(settings, monkeypatch):
    chunks = []
    lost = Lease("delete_old")
    settings.CLEAN_UPS = []
    monkeypatch.setattr(retention, "CLEAN_UPS", (lambda: (chunks.append(1), lost.lost.set()) and 1,))
    with pytest.raises(LeaseLost):
        retention.run_cleanups(lost)
    assert len(chunks) == 1
    monkeypatch.setattr(stopping, "_stop_requested", b"\1")
    with pytest.raises(stopping.WorkerStopping):
        retention.run_cleanups(Lease("delete_old"))
    assert len(chunks) == 1


def test_every_table_has_its_row_in_the_docs():
    """A new model needs a bound or a retention."""
    page = (ROOT / "docs/retention.md").read_text()
    assert [model._meta.label for model in apps.get_models() if f"`{model._meta.object_name}`" not in page] == []


def test_every_setting_of_a_retention_is_in_the_docs_and_in_the_example(settings):
    names = {name for name in dir(settings) if name.startswith("KEEP_")}
    for path in ("docs/retention.md", ".env.example"):
        assert {name for name in names if name not in (ROOT / path).read_text()} == set()
