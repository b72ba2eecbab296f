"""A task that runs out of memory, or exits, has failed: its worker goes on, and the message does not come back."""

from collections.abc import Callable
from subprocess import Popen

import pytest
from celery import current_app
from django.utils import timezone
from redis import Redis

from devtools.processes import wait_until
from mediaapp.models import User
from tests.faulty_tasks import lines
from workers import jobs
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)
Start = Callable[..., Popen]


def send(task: str, *args: str) -> None:
    current_app.send_task(f"tests.faulty_tasks.{task}", args=args, queue="highmem")


def is_over(broker: Redis) -> bool:
    """True too between the BRPOP that takes a message and the HSET that notes it: ask when the last one has begun."""
    return broker.llen("highmem") == 0 and not broker.exists("unacked")


@pytest.mark.parametrize("task", ["run_out_of_memory", "leave"])
def test_a_worker_survives_a_task_that_runs_out_of_memory_or_exits(start: Start, broker: Redis, task: str):
    send(task)
    send("do_nothing")
    worker = start("highmem", app="tests.fast_app")
    wait_until(lambda: "do_nothing" in lines() or worker.poll() is not None, "the task behind it")
    wait_until(lambda: is_over(broker) or worker.poll() is not None, "the last acknowledgement")
    assert worker.poll() is None
    assert lines() == [task, "do_nothing"]


@pytest.mark.parametrize("task", ["run_out_of_memory_in_a_job", "leave_in_a_job"])
def test_a_job_that_runs_out_of_memory_or_exits_has_failed(start: Start, broker: Redis, alice: User, task: str):
    job = Job.objects.create(task=f"tests.faulty_tasks.{task}", queue="highmem", owner=alice, queued_at=timezone.now())
    jobs.publish(job)
    send("do_nothing")
    worker = start("highmem", app="tests.fast_app")
    wait_until(lambda: "do_nothing" in lines() or worker.poll() is not None, "the task behind it")
    wait_until(lambda: is_over(broker) or worker.poll() is not None, "the last acknowledgement")
    ended = Job.objects.get(pk=job.pk)
    assert (ended.state, ended.message, ended.attempt) == (Job.State.FAILED, jobs.user_messages.INTERNAL_ERROR, 1)
    assert worker.poll() is None
    assert lines() == [task, "do_nothing"]
