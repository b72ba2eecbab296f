"""A worker and a beat touch their heartbeat file; one that hangs, or has no broker, does not."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import psutil
import pytest
from redis import Redis

from devtools.processes import wait_until
from tests.brokers import Broker

pytestmark = pytest.mark.django_db(transaction=True)
Start = Callable[..., Popen]
LONG_AGO = 1_000_000_000.0


def backdate_file(folder: Path) -> Path:
    """Sets the time of the one file in a folder to years ago."""
    (file,) = folder.iterdir()
    os.utime(file, (LONG_AGO, LONG_AGO))
    return file


def is_old(file: Path) -> bool:
    return file.stat().st_mtime == LONG_AGO


@pytest.mark.parametrize("name", ["default", "beat"])
def test_a_running_process_touches_its_file_and_a_frozen_one_does_not(
    start: Start, broker: Redis, tmp_path: Path, name: str
):
    process = start(name, app="tests.fast_app")
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, "it to be frozen")
    file = backdate_file(tmp_path / "ready0")
    time.sleep(1.5)  # it would have touched it
    assert is_old(file)
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: not is_old(file), f"{name} to touch its file")


def test_a_worker_does_not_touch_its_file_while_its_broker_is_away(start: Start, tmp_path: Path):
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Broker(folder)
    broker.start()
    try:
        start("default", app="tests.fast_app", BROKER_URL=broker.url)
        broker.kill()
        log = tmp_path / "default0.log"
        wait_until(lambda: "Cannot connect" in log.read_text(), "the worker to miss its broker")
        file = backdate_file(tmp_path / "ready0")
        wait_until(lambda: log.read_text().count("Cannot connect") > 1, "the worker to miss it again")
        assert is_old(file)
        broker.start()
        wait_until(lambda: not is_old(file), "the worker to touch its file")
    finally:
        broker.kill()
