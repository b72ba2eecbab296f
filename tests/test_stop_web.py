"""The web server is stopped, or one of its processes is killed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench import attackers
from devtools.ports import is_free
from devtools.processes import DEADLINE_SECONDS, Web, wait_until
from devtools.visitor import Visitor
from tests.web import serving, serving_timed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with serving(tmp_path, WEB_CONCURRENCY="2") as web:
        yield web


def workers_of(web: Web) -> list[psutil.Process]:
    return psutil.Process(web.process.pid).children()


@pytest.mark.parametrize("whom", ["the main process", "its workers first"])
def test_a_stopped_server_does_not_wait_for_silent_clients(whom, tmp_path):
    """A platform signals all processes at once."""
    with serving_timed(tmp_path) as web:
        with attackers.attacking(web.port, attackers.half_headers(4), attackers.forms_without_body(4)):
            for each in workers_of(web) if whom == "its workers first" else []:
                each.terminate()
            web.process.terminate()
            code = web.process.wait(DEADLINE_SECONDS)
        assert code == 0
        assert is_free(web.port)


def test_a_killed_worker_is_replaced_and_nobody_waits_for_it(web):
    before = workers_of(web)
    before[0].kill()
    wait_until(lambda: len(workers_of(web)) == 2 and before[0] not in workers_of(web), "a new worker")
    assert [Visitor(web.port).get("/healthz").status for _ in range(10)] == [200] * 10


def test_a_killed_main_process_takes_its_workers_along(web):
    workers = workers_of(web)
    os.kill(web.process.pid, signal.SIGKILL)
    wait_until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in workers))
    wait_until(lambda: is_free(web.port), "the port")
