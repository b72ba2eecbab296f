"""Labs of `make drills` for a few rounds, on both brokers.

Not that of killed imports: tests/test_survive_death.py proves it with real workers, tests/test_resume_import.py at each
checkpoint of the engine. Nor that of deaths: tests/test_notice_death.py and tests/test_flush_locks.py. Nor that of
roll-forwards: tests/test_lead_beat.py.
"""

import json

from tests import programs
from tests.conftest import environment
from tests.servers import NO_SERVERS


def run(*arguments: str) -> dict:
    """The figures of a lab, which exits with 1 if its promise is broken."""
    done = programs.run("labs", *arguments, env=environment(**NO_SERVERS))
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return next(json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))


def test_a_lock_keeps_its_promise_while_its_holders_are_killed():
    found = run("kill_holders", "3", "1")
    assert (found["rounds"], found["overlaps"]) == (3, 0)


def test_runs_do_not_pile_up_on_rabbitmq_and_each_is_counted_once(rabbitmq_installed):
    assert_each_is_counted(run("--rabbitmq", "recurring_runs", "9", "waits"))


def test_files_survive_whatever_dies_while_users_upload():
    found = run("chaos", "2", "8")
    assert found["rounds"] == 2
    assert [found[fault] for fault in ("lost", "doubled", "stuck", "false_deaths")] == [0, 0, 0, 0]


def assert_each_is_counted(found: dict) -> None:
    assert found["waited"] == 1
    assert found["due"] == found["ran"] + found["refused"] + found["expired"] >= 3
    assert found["expired"]
