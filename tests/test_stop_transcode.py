"""What ends a transcode early: a cancel, a stopping worker, the time limit, `kill -9`."""

import signal
import subprocess
import sys

import psutil
import pytest

from devtools.processes import DEADLINE_SECONDS
from mediaapp.views.jobs import will_resume
from tests.factories import add_file, upload_of
from tests.videos import make_video
from workers import jobs
from workers.child_process import PARENT_SIGNALS
from workers.jobs import attempt
from workers.models import Job
from workers.video import limits, sandbox, stall, tasks
from workers.video.ffmpeg import transcode
from workers.video.probe import probe
from workers.video.tasks import transcode_video


class Cancelled(Exception):
    """What a report raises when the user has clicked on Cancel."""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("source") / "f.mp4", seconds=4, size="640x480", rate=25)


@pytest.fixture
def target(tmp_path):
    (tmp_path / "done").mkdir()
    return tmp_path / "done/film.mp4"


def transcode_with(report, source, target, time_limit=600.0):
    return transcode(source, target, target.with_suffix(".jpg"), report=report, time_limit=time_limit)


def running_ffmpegs():
    return [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


@pytest.mark.parametrize("stop", [Cancelled, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("at", ["looking at the file", "making the poster", "transcoding"])
def test_an_exception_of_the_report_ends_ffmpeg_and_leaves_nothing(source, target, stop, at):
    def report(done, total, stage):
        if stage == at:
            raise stop

    with pytest.raises(stop):
        transcode_with(report, source, target)

    assert running_ffmpegs() == []
    assert list(target.parent.iterdir()) == []


def test_reports_go_on_while_ffmpeg_is_silent(source, target):
    ticks = []

    def report(done, total, stage):
        if stage == "transcoding":
            ticks.append(done)
            [ffmpeg] = running_ffmpegs()
            # Stopped, it says nothing; without reports it would stay so until the time limit.
            ffmpeg.suspend() if len(ticks) < 5 else ffmpeg.resume()

    assert transcode_with(report, source, target).after.duration == pytest.approx(4, abs=0.1)
    assert len(ticks) >= 5


def test_the_time_limit_ends_ffmpeg_with_a_sentence(source, target):
    with pytest.raises(sandbox.VideoTimeoutError) as failed:
        transcode_with(lambda *_: None, source, target, time_limit=0)

    assert "longer than the site allows" in failed.value.sentence
    assert running_ffmpegs() == []
    assert list(target.parent.iterdir()) == []


def suspend_ffmpeg(done, total, stage):
    if stage == "transcoding":
        for ffmpeg in running_ffmpegs():
            ffmpeg.suspend()


def test_a_stopped_ffmpeg_is_ended_and_it_is_not_the_files_fault(source, target, monkeypatch):
    monkeypatch.setattr(stall, "STALL_SECONDS", 2)
    with pytest.raises(sandbox.StalledError) as failed:
        transcode_with(suspend_ffmpeg, source, target)

    assert "Nothing is lost" in failed.value.sentence
    assert running_ffmpegs() == []
    assert list(target.parent.iterdir()) == []


def test_an_ffmpeg_that_goes_round_in_circles_fails_with_words(source, target, tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nwhile :; do :; done\n")
    program.chmod(0o755)
    monkeypatch.setattr(sandbox.imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(program))
    monkeypatch.setattr(stall, "STALL_SECONDS", 2)
    monkeypatch.setattr(stall, "BUSY_SHARE", 0.001)  # in two seconds, other work may leave it less than a tenth
    with pytest.raises(sandbox.VideoError, match="nothing came out of it"):
        transcode_with(lambda *_: None, source, target)


@pytest.fixture
def stall_job(source, alice, broker, settings, monkeypatch):
    """Runs a job whose ffmpeg is stopped each time. Returns the job's row."""
    monkeypatch.setattr(stall, "STALL_SECONDS", 1)
    monkeypatch.setattr(attempt.Attempt, "report", lambda self, *progress, **_: suspend_ffmpeg(*progress))
    upload = upload_of(alice)
    add_file(upload, "source", source.read_bytes())
    # After nine attempts without a stall: deploys, or a storage that was away.
    Job.objects.filter(pk=upload.pk).update(arguments={"source": upload.file}, attempt=9, crash_count=1)

    def stall_once():
        Job.objects.filter(pk=upload.pk).update(not_before=None)
        transcode_video(str(upload.pk))
        return Job.objects.get(pk=upload.pk)

    return stall_once


def test_the_job_of_a_stopped_ffmpeg_goes_back_to_the_queue_and_says_why(stall_job):
    job = stall_job()
    assert (job.state, job.attempt, job.crash_count) == (Job.State.QUEUED, 10, 1)
    assert "put back into the queue" in job.message
    assert job.not_before is not None


def test_a_job_fails_with_words_after_many_stalls_and_a_retry_counts_anew(stall_job, monkeypatch):
    monkeypatch.setattr(tasks, "MAX_STALLS", 2)
    assert stall_job().state == Job.State.QUEUED
    job = stall_job()
    assert (job.state, job.message) == (Job.State.FAILED, jobs.user_messages.STALLED_TOO_OFTEN)
    assert will_resume(job)
    assert jobs.retry(job)
    assert stall_job().state == Job.State.QUEUED
    job = stall_job()
    assert (job.state, job.attempt) == (Job.State.FAILED, 13)


@pytest.mark.parametrize("number", sorted(PARENT_SIGNALS))
def test_a_signal_meant_for_the_worker_does_not_end_ffmpeg(source, target, number):
    sent = []

    def report(done, total, stage):
        if stage == "transcoding" and not sent:
            [ffmpeg] = running_ffmpegs()
            ffmpeg.send_signal(number)
            sent.append(ffmpeg)

    assert transcode_with(report, source, target).after.duration == pytest.approx(4, abs=0.1)
    assert sent


def test_ffmpeg_sees_neither_the_environment_nor_more_than_its_limits(source, target, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    seen = {}

    def report(done, total, stage):
        if stage == "transcoding" and not seen:
            [ffmpeg] = running_ffmpegs()
            seen["environment"] = ffmpeg.environ()
            seen["memory"] = ffmpeg.rlimit(psutil.RLIMIT_AS)
            seen["data"] = ffmpeg.rlimit(psutil.RLIMIT_DATA)
            seen["core"] = ffmpeg.rlimit(psutil.RLIMIT_CORE)
            seen["politer"] = ffmpeg.nice() - psutil.Process().nice()

    transcode_with(report, source, target)

    assert seen["environment"] == {}
    assert seen["memory"] == (limits.MAX_MEMORY_BYTES,) * 2
    assert seen["data"] == (limits.memory_bytes(),) * 2
    assert seen["core"] == (0, 0)
    assert seen["politer"] > 0


def test_a_result_that_grows_too_large_ends_with_a_sentence(source, target, monkeypatch):
    monkeypatch.setattr(limits, "MAX_OUTPUT_BYTES", 50_000)
    with pytest.raises(sandbox.VideoError, match="larger than 8 GB"):
        transcode_with(lambda *_: None, source, target)
    assert list(target.parent.iterdir()) == []


WORKER = """
import sys, psutil
from pathlib import Path
from workers.video.ffmpeg import transcode

def report(done, total, stage):
    if stage == "transcoding":
        [ffmpeg] = psutil.Process().children()
        ffmpeg.suspend()
        print(ffmpeg.pid, flush=True)
        sys.stdin.read()

source, target = Path(sys.argv[1]), Path(sys.argv[2])
transcode(source, target, target.with_suffix(".jpg"), report=report, time_limit=600)
"""


def test_ffmpeg_dies_with_a_killed_worker(source, target):
    command = [sys.executable, "-c", WORKER, str(source), str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        ffmpeg = psutil.Process(int(worker.stdout.readline()))
        worker.send_signal(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL

    psutil.wait_procs([ffmpeg], timeout=DEADLINE_SECONDS)
    assert not ffmpeg.is_running() or ffmpeg.status() == psutil.STATUS_ZOMBIE
    assert not target.exists()


def test_a_finished_transcode_leaves_no_process(source, target):
    transcode_with(lambda *_: None, source, target)
    assert running_ffmpegs() == []
    assert probe(target).width == 640
