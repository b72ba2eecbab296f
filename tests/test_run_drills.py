"""The labs whose promise `make drills` tests for long keep it for a few rounds too, on both brokers."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT, environment
from tests.rabbitmq import Node

pytestmark = pytest.mark.django_db(transaction=True)


def run(lab: str, *arguments: str, **more: str) -> dict:
    """What a lab found. It ends with 1 if its promise is broken."""
    command = [sys.executable, "-m", f"labs.{lab}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment(**more), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[0])


def test_a_lock_keeps_its_promise_while_its_holders_are_killed():
    found = run("2_locks", "3", "1")
    assert (found["rounds"], found["overlaps"]) == (3, 0)


def test_runs_do_not_pile_up_on_redis_and_each_is_counted_once(broker):
    assert_each_is_counted(run("5_expires", "9", "waits"))


def test_runs_do_not_pile_up_on_rabbitmq_and_each_is_counted_once(vhost: Node):
    assert_each_is_counted(run("5_expires", "9", "waits", BROKER_URL=vhost.url, BROKER_MANAGEMENT_URL=vhost.management))


def assert_each_is_counted(found: dict) -> None:
    assert found["waited"] == 1
    assert found["due"] == found["ran"] + found["refused"] + found["expired"] >= 3
    assert found["expired"]


def test_the_lab_leaves_a_site_alone_that_is_in_use(broker):
    broker.lpush("default", "{}")
    with pytest.raises(AssertionError, match="Messages wait"):
        run("5_expires", "9", "waits")
    assert broker.llen("default") == 1
