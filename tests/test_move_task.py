"""A task moves to another queue: what an older release queued for it still runs."""

from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from redis import Redis

from devtools.processes import wait_until
from tests.factories import State
from workers import jobs
from workers.default import tasks
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)
FORMER, PRESENT = "workers.default.tasks.delete_files", "workers.highmem.tasks.delete_files"


def deletion_of_older_release(folder: str = "uploads/gone", **fields: object) -> Job:
    row = {"task": FORMER, "queue": "default", "arguments": {"folder": folder}, "queued_at": timezone.now()}
    return Job.objects.create(**row | fields)


def test_a_deletion_that_waits_in_its_former_queue_runs_on_the_maintenance_worker(
    start: Callable[..., Popen], broker: Redis
):
    name = default_storage.save("uploads/gone/source", ContentFile(b"some bytes"))
    job = deletion_of_older_release()
    assert jobs.publish(job)
    assert broker.llen("default") == 1
    start("default")
    wait_until(lambda: broker.llen("maintenance") == 1, "the default worker to hand it on")
    start("highmem")
    wait_until(lambda: Job.objects.get(pk=job.pk).state == State.DONE, "the deletion")
    job.refresh_from_db()
    assert (job.task, job.queue, job.worker.partition("@")[0]) == (PRESENT, "maintenance", "highmem")
    assert not Path(default_storage.path(name)).exists()


def test_a_second_message_moves_nothing_and_a_job_that_runs_or_has_ended_stays(broker: Redis):
    waits, *others = [deletion_of_older_release(state=state) for state in (State.QUEUED, State.RUNNING, State.DONE)]
    for job in (waits, waits, *others):
        tasks.delete_files.run(str(job.pk))
    assert broker.llen("maintenance") == 1
    assert set(Job.objects.filter(task=PRESENT)) == {waits}


def test_a_job_whose_queue_this_release_lacks_is_not_published_and_stays_queued(broker: Redis, caplog):
    """As after a rollback."""
    job = deletion_of_older_release(queue="of-the-next-release")
    assert not jobs.publish(job)
    assert "this release has no queue of-the-next-release" in caplog.text
    job.refresh_from_db()
    assert (job.state, job.dispatched_at, broker.keys("of-the-next-release")) == (State.QUEUED, None, [])
