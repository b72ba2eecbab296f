"""A job works on copies of a bucket's files: bounded, with progress, and nothing stays behind."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from tests.relay import Relay, running_relay
from workers.jobs import RetryLater, user_messages
from workers.storage import scratch
from workers.storage import workspace as workspaces
from workers.storage.workspace import WorkspaceError, open_workspace

LARGE = os.urandom(1 << 20) * 12  # more than one part, and more than the buffers of a connection
NAME = "uploads/some/source"
ON_DISK = {"default": {"BACKEND": "django.core.files.storage.FileSystemStorage"}}


class StopReport(Exception):
    """What a report raises in these tests."""


@pytest.fixture(autouse=True)
def scratch_folder(bucket, settings, tmp_path: Path) -> Path:
    settings.SCRATCH_DIR = tmp_path / "scratch"
    return settings.SCRATCH_DIR


@pytest.fixture
def relay(bucket, settings) -> Iterator[Relay]:
    """A connection to the storage that a test can cut."""
    there = urlsplit(settings.S3_ENDPOINT_URL)
    with running_relay((there.hostname, there.port)) as relay:
        settings.S3_ENDPOINT_URL = f"http://{relay.address}"
        settings.STORAGES = dict(settings.STORAGES)  # which makes a new default_storage
        yield relay


def store(content: bytes, name: str = NAME) -> str:
    return default_storage.save(name, ContentFile(content))


def read_stored(name: str) -> bytes:
    with default_storage.open(name) as file:
        return file.read()


def report_that_raises_at(stage: str, done: float) -> Callable[..., None]:
    def report(so_far, total, now, **_):
        if (now, so_far) >= (stage, done):
            raise StopReport

    return report


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def multipart_uploads() -> list:
    return default_storage.client.list_multipart_uploads(Bucket=default_storage.bucket_name).get("Uploads", [])


def test_a_file_is_copied_with_progress_and_removed_at_the_end(scratch_folder: Path):
    reported = []
    name = store(LARGE)
    with open_workspace(lambda *step: reported.append(step)) as workspace:
        assert workspace.fetch(name).read_bytes() == LARGE
    assert files_in(scratch_folder) == []
    assert [step[0] for step in reported] == sorted(step[0] for step in reported)
    assert {step[1:] for step in reported} == {(len(LARGE), user_messages.FETCHING)}
    assert len(reported) > 40


def test_results_replace_those_of_an_earlier_attempt_at_once(scratch_folder: Path):
    reported = []
    store(b"old", "reports/some/rows.csv")
    with open_workspace(lambda *step: reported.append(step)) as workspace:
        folder = workspace.results_folder("reports/some")
        (folder / "rows.csv").write_bytes(LARGE)
        (folder / "report.json").write_bytes(b"{}")
        assert read_stored("reports/some/rows.csv") == b"old"
    assert read_stored("reports/some/rows.csv") == LARGE
    assert read_stored("reports/some/report.json") == b"{}"
    assert files_in(scratch_folder) == multipart_uploads() == []
    assert [step[0] for step in reported] == sorted(step[0] for step in reported)
    assert {step[1:] for step in reported} == {(len(LARGE) + 2, workspaces.STORING)}


def test_a_job_that_fails_stores_nothing(scratch_folder: Path):
    with pytest.raises(StopReport), open_workspace(lambda *_: None) as workspace:
        (workspace.results_folder("reports/some") / "rows.csv").write_bytes(b"half")
        raise StopReport
    assert not default_storage.exists("reports/some/rows.csv")
    assert files_in(scratch_folder) == []


def test_an_exception_of_the_report_ends_a_copy_and_leaves_nothing(scratch_folder: Path):
    name = store(LARGE)
    with (
        pytest.raises(StopReport),
        open_workspace(report_that_raises_at(user_messages.FETCHING, len(LARGE) / 2)) as workspace,
    ):
        workspace.fetch(name)
    assert files_in(scratch_folder) == []


def test_an_exception_of_the_report_ends_an_upload_and_leaves_nothing(scratch_folder: Path):
    with (
        pytest.raises(StopReport),
        open_workspace(report_that_raises_at(workspaces.STORING, len(LARGE) / 2)) as workspace,
    ):
        (workspace.results_folder("reports/some") / "rows.csv").write_bytes(LARGE)
    assert not default_storage.exists("reports/some/rows.csv")
    assert files_in(scratch_folder) == multipart_uploads() == []


def test_a_file_that_never_fits_is_rejected_before_its_first_byte(relay: Relay, settings):
    name = store(LARGE)
    settings.SCRATCH_BYTES = len(LARGE) - 1
    before = relay.answer_bytes
    with (
        pytest.raises(WorkspaceError, match="has 13 MB, and our workers have room for 13 MB") as refused,
        open_workspace(lambda *_: None) as workspace,
    ):
        workspace.fetch(name)
    assert refused.value.sentence == str(refused.value)
    assert relay.answer_bytes - before < 10_000


def test_a_file_that_does_not_fit_beside_those_of_other_jobs_waits(settings):
    one, two = store(LARGE), store(b"small", "uploads/other/source")
    settings.SCRATCH_BYTES = len(LARGE) + 4
    with open_workspace(lambda *_: None) as workspace:
        workspace.fetch(one)
        with pytest.raises(RetryLater, match="Waiting for room"), open_workspace(lambda *_: None) as beside:
            beside.fetch(two)
    with open_workspace(lambda *_: None) as workspace:
        assert workspace.fetch(two).read_bytes() == b"small"


def test_a_job_whose_results_grow_too_large_is_stopped(settings):
    settings.SCRATCH_BYTES = 1000
    with (
        pytest.raises(WorkspaceError, match="took more than"),
        open_workspace(lambda *_: None) as workspace,
    ):
        made = workspace.results_folder("reports/some") / "rows.csv"
        made.write_bytes(b"x" * 1000)
        workspace.report(1, 2, "writing")
        made.write_bytes(b"x" * 1001)
        workspace.report(2, 2, "writing")
    assert not default_storage.exists("reports/some/rows.csv")


def test_a_job_whose_room_is_used_by_others_is_retried(settings):
    settings.SCRATCH_BYTES = 1000
    with open_workspace(lambda *_: None) as other, open_workspace(lambda *_: None) as workspace:
        made = [each.results_folder("reports/some") / "rows.csv" for each in (other, workspace)]
        for file in made:
            file.write_bytes(b"x" * 501)
        with pytest.raises(RetryLater, match="Waiting for room"):
            workspace.report(1, 2, "writing")
        made[0].unlink()
        workspace.report(1, 2, "writing")


def test_the_folder_of_a_killed_process_is_removed_and_no_other_one(scratch_folder: Path):
    dead, foreign = scratch_folder / f"{scratch.PREFIX}dead", scratch_folder / "not ours"
    for folder in (dead, foreign):
        folder.mkdir(parents=True)
        (folder / "source").touch()
    name = store(b"in use")
    with open_workspace(lambda *_: None) as workspace:
        assert not dead.exists()
        copy = workspace.fetch(name)
        with open_workspace(lambda *_: None):
            assert copy.read_bytes() == b"in use"
    assert (foreign / "source").exists()


@pytest.mark.parametrize("storage", ["bucket", "disk"])
def test_a_missing_file_is_an_error_with_a_sentence(settings, storage: str):
    if storage == "disk":
        settings.STORAGES = settings.STORAGES | ON_DISK
    with (
        pytest.raises(WorkspaceError, match="no longer there"),
        open_workspace(lambda *_: None) as workspace,
    ):
        workspace.fetch(NAME)


def test_a_download_continues_where_its_connection_broke(relay: Relay):
    name = store(LARGE)
    relay.cut_after_bytes, relay.cuts_one_connection = relay.answer_bytes + len(LARGE) / 2, True
    before = relay.answer_bytes
    with open_workspace(lambda *_: None) as workspace:
        assert workspace.fetch(name).read_bytes() == LARGE
    assert relay.answer_bytes - before < 1.5 * len(LARGE)


@pytest.mark.parametrize("when", ["before", "in the middle"])
def test_a_job_is_retried_when_the_storage_goes_away(relay: Relay, scratch_folder: Path, when: str):
    name = store(LARGE)
    relay.cut_after_bytes = relay.answer_bytes + (len(LARGE) / 2 if when == "in the middle" else 0)
    with pytest.raises(RetryLater, match="does not answer"), open_workspace(lambda *_: None) as workspace:
        workspace.fetch(name)
    assert files_in(scratch_folder) == []
    relay.is_cut = False
    with open_workspace(lambda *_: None) as workspace:
        assert workspace.fetch(name).read_bytes() == LARGE


def requests_to_storage() -> list[str]:
    """Grows by the operation of each request that default_storage sends."""
    sent: list[str] = []
    events = default_storage.client.meta.events
    events.register("before-send.s3", lambda event_name, **_: sent.append(event_name.rpartition(".")[2]))
    return sent


def test_a_small_result_takes_one_request_and_a_large_one_a_request_for_each_part():
    sent = requests_to_storage()
    with open_workspace(lambda *_: None) as workspace:
        folder = workspace.results_folder("reports/some")
        (folder / "a").write_bytes(b"small")
        (folder / "b").write_bytes(LARGE)
    parts = ["CreateMultipartUpload", "UploadPart", "UploadPart", "CompleteMultipartUpload"]
    assert sent == ["PutObject", *parts]


def test_after_a_failed_part_no_further_part_is_reported(relay: Relay, monkeypatch):
    monkeypatch.setattr(workspaces, "UPLOAD_RETRY_SECONDS", ())
    reported = []

    def cut(done, *_):
        reported.append(done)
        relay.is_cut = True

    with pytest.raises(RetryLater), open_workspace(cut) as workspace:
        (workspace.results_folder("reports/some") / "rows.csv").write_bytes(LARGE * 3)
    assert reported == [0]


def test_an_upload_is_retried_until_the_storage_is_back(relay: Relay):
    cuts = []

    def cut_once(done, *_):
        relay.is_cut = done > 0 and not cuts
        cuts.extend([done] * relay.is_cut)

    with open_workspace(cut_once) as workspace:
        (workspace.results_folder("reports/some") / "rows.csv").write_bytes(LARGE)
    assert (len(cuts), read_stored("reports/some/rows.csv") == LARGE) == (1, True)


def test_a_job_is_retried_when_the_storage_stays_away_during_an_upload(relay: Relay, monkeypatch):
    monkeypatch.setattr(workspaces, "UPLOAD_RETRY_SECONDS", (1,))

    def cut(done, *_):
        relay.is_cut = done > 0

    with pytest.raises(RetryLater, match="does not answer"), open_workspace(cut) as workspace:
        (workspace.results_folder("reports/some") / "rows.csv").write_bytes(LARGE)
    relay.is_cut = False
    assert not default_storage.exists("reports/some/rows.csv")


def test_on_a_shared_disk_nothing_is_copied(settings, scratch_folder: Path):
    settings.STORAGES = settings.STORAGES | ON_DISK
    name, reported = store(b"here"), []
    with open_workspace(lambda *step: reported.append(step)) as workspace:
        assert str(workspace.fetch(name)) == default_storage.path(name)
        assert str(workspace.results_folder("reports/some")) == default_storage.path("reports/some")
        workspace.report(1, 2, "at work")
    assert reported == [(1, 2, "at work")]
    assert not scratch_folder.exists()
