"""Redis delivers a message again after its visibility timeout: a living worker renews it, a dead one does not."""

import os
import signal
from collections.abc import Callable
from subprocess import Popen

import pytest
from celery import current_app
from redis import Redis

from devtools.processes import wait_until
from tests.faulty_tasks import let_go, lines

pytestmark = pytest.mark.django_db(transaction=True)
Start = Callable[..., Popen]


@pytest.fixture
def start_worker(start: Start) -> Callable[[int], Popen]:
    """Takes the visibility timeout in seconds. It is renewed four times in each."""
    return lambda seconds: start("highmem", app="tests.fast_app", VISIBILITY_TIMEOUT=str(seconds))


def send_waiting_task() -> None:
    current_app.send_task("tests.faulty_tasks.wait_for_go", queue="highmem")
    wait_until(lines, "its begin")


def delivered_at(broker: Redis) -> float:
    """When the timeout of the one message began, as the broker notes it; 0 for none."""
    return max((score for _, score in broker.zrange("unacked_index", 0, -1, withscores=True)), default=0)


def is_renewed_for(seconds: float, broker: Redis) -> bool:
    """Waits until the timeout was renewed so much later than now, or another worker began the task again."""
    since = delivered_at(broker)
    wait_until(lambda: delivered_at(broker) > since + seconds or len(lines()) > 1, "the renewals")
    return len(lines()) == 1


def test_a_task_longer_than_the_timeout_runs_once_even_if_the_connection_is_lost(start_worker, broker: Redis):
    timeout = 12  # a busy machine may hold up the renewal for seconds
    start_worker(timeout)
    send_waiting_task()
    start_worker(timeout)
    assert is_renewed_for(1.5 * timeout, broker)
    broker.client_kill_filter(_type="normal", skipme=True)
    assert is_renewed_for(1.5 * timeout, broker)
    let_go()
    wait_until(lambda: not broker.exists("unacked", "unacked_index"), "its acknowledgement")
    assert lines() == ["waiting"]
    assert broker.llen("highmem") == 0


def test_the_message_of_a_killed_worker_comes_to_another_one(start_worker, broker: Redis):
    worker = start_worker(3)
    send_waiting_task()
    start_worker(3)
    os.killpg(worker.pid, signal.SIGKILL)
    wait_until(lambda: lines() == ["waiting", "waiting"], "the other worker to begin")
