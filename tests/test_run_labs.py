"""Every lab runs, wrong and right, at its smallest size, on servers of its own whatever the environment names."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT, environment
from tests.rabbitmq import SERVER
from tests.servers import NO_SERVERS

LABS = {
    "1_broker": ("1", "200"),
    "3_queues": ("3", "2", "0.2"),
    "4_concurrency": ("4", "200"),
    "6_progress": ("6", "20"),
    "8_backlog": ("8", "9", "0.2"),
}


def run(*words: str) -> str:
    """What `python -m labs` prints for it."""
    command = [sys.executable, "-m", "labs", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment(**NO_SERVERS), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("words", LABS.values(), ids=LABS)
def test_a_lab_prints_both_numbers_and_a_line_of_json(words):
    *table, figures = run(*words).splitlines()
    for way in ("wrong", "right"):
        assert any(way in line and any(map(str.isdigit, line)) for line in table)
    assert "wrong" in figures
    assert "right" in figures
    assert json.loads(figures)


def test_the_labs_are_listed_by_their_questions():
    lines = run().splitlines()
    assert {line.partition(" ")[0] for line in lines} >= {name[0] for name in LABS}
    assert all("python -m labs" in line for line in lines)


@pytest.mark.skipif(not SERVER.exists(), reason="no RabbitMQ")
def test_rabbitmq_loses_what_it_does_not_confirm_and_the_row_keeps_what_it_refuses():
    figures = json.loads(run("--rabbitmq", "1").splitlines()[-1])
    assert (figures["broker"], figures["wrong"]["says"]) == ("rabbitmq", "hangs")
    assert figures["right"] == figures["right"] | {"lost": 0, "urgent": True}
