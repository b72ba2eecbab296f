"""After a rollback the old code meets messages, rows and migrations of the new code."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from subprocess import Popen
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from redis import Redis

from devtools.processes import wait_until
from tests import in_subprocess
from workers import jobs
from workers.models import Job
from workers.runtime import publishing

pytestmark = pytest.mark.django_db(transaction=True)
Start = Callable[..., Popen]
LATER, KNOWN = "workers.video.tasks.of_the_next_release", "workers.video.tasks.transcode_video"
IGNORED = "job_message_ignored"


@pytest.fixture
def job() -> Job:
    """Of a task that this release does not know, as the next one left it."""
    hour_ago = timezone.now() - timedelta(hours=1)
    return Job.objects.create(task=LATER, queue="video", queued_at=hour_ago, dispatched_at=hour_ago)


def test_a_job_of_a_task_that_the_old_code_lacks_stays_queued_and_blocks_no_other(
    start: Start, broker: Redis, job: Job, tmp_path: Path
):
    start("video")
    log = tmp_path / "video0.log"
    for turn in (1, 2):
        # The sweep asks for it again and again: the next deploy has a worker that knows it.
        assert jobs.sweep() == 1
        wait_until(lambda turn=turn: log.read_text().count("unregistered task") >= turn, "the worker to drop it")
        Job.objects.filter(pk=job.pk).update(dispatched_at=job.dispatched_at)
    publishing.publish(KNOWN, str(uuid4()), "video")
    wait_until(lambda: IGNORED in log.read_text(), "the worker to take the next one")
    wait_until(lambda: (broker.llen("video"), broker.hlen("unacked")) == (0, 0), "both messages to be gone")
    job.refresh_from_db()
    assert (job.state, job.attempt, job.crash_count) == (Job.State.QUEUED, 0, 0)


def test_a_job_of_a_task_that_the_old_code_lacks_stays_queued_on_rabbitmq_too(
    start: Start, vhost, job: Job, tmp_path: Path
):
    start("video", BROKER_URL=vhost.url)
    both = [(LATER, str(job.pk)), (KNOWN, str(uuid4()))]
    code = f"from workers.runtime.publishing import publish; [publish(*each, 'video') for each in {both}]"
    in_subprocess.run(code, BROKER_URL=vhost.url)
    log = tmp_path / "video0.log"
    wait_until(lambda: IGNORED in log.read_text(), "the worker to take the next one")
    assert "unregistered task" in log.read_text()
    job.refresh_from_db()
    assert (job.state, job.attempt) == (Job.State.QUEUED, 0)


def test_the_old_code_migrates_nothing_if_the_database_is_ahead(capsys):
    row = ("workers", "9999_of_the_next_release")
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, now())", row)
    try:
        call_command("migrate", interactive=False)
        assert "No migrations to apply" in capsys.readouterr().out
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE app = %s AND name = %s", row)
