"""Labs run at their smallest size, on servers of their own, whatever servers the environment names."""

import json
import math
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from devtools.lab import Lab
from devtools.lab.run import show_progress
from devtools.processes import ROOT, wait_until
from tests import programs
from tests.conftest import environment
from tests.servers import NO_SERVERS

SAY_NOTHING = ("one limit for all tasks", "mean of all runs", "succeeded in N s in the log")  # in lab 7


def run(*words: str) -> str:
    """The output of `python -m labs`."""
    done = programs.run("labs", *words, env=environment(**NO_SERVERS))
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return done.stdout


def medians(*words: str) -> dict[str, dict[str, float]]:
    """What each arm of a lab in its short form measures. The lab ends with 1 unless each wrong arm does worse."""
    figures = json.loads(run(*words, "--short", "--json").splitlines()[-1])
    return {arm["name"]: {name: each["median"] for name, each in arm["figures"].items()} for arm in figures["arms"]}


def test_runs_meet_or_are_locked_out_under_a_wrong_lock():
    found = medians("2")
    assert found["locks.exclusive()"]["met another"] == 0
    assert found["no timeout"]["locked out"] > found["locks.exclusive()"]["locked out"]
    for arm in ("no lock", "a timeout shorter than the task", "deleted by anybody"):
        assert found[arm]["met another"]


def test_one_message_of_an_entry_waits_and_none_begins_late():
    found = medians("5")
    assert found["the site's schedule"]["waiting at once"] <= 1
    assert found["no expiry in the database"]["began late"]
    assert [each["began late"] for arm, each in found.items() if arm != "no expiry in the database"] == [0, 0]


def test_a_reset_waits_behind_other_work_of_its_queue_and_not_with_the_sites_table():
    assert {"the site's table", "the site's table, its housekeeping hangs"} <= medians("3").keys()


def test_imports_wait_for_rows_of_each_other_unless_they_take_turns_or_have_no_common_key():
    found = medians("4")
    waiting = {arm for arm, each in found.items() if each["waiting for rows"]}
    assert waiting == {arm for arm in found if arm.startswith("same keys, four at once")}


def test_progress_in_the_cache_needs_few_commands_and_a_flush_loses_no_result():
    found = medians("6")
    lost = {arm: each["results lost by a flush"] for arm, each in found.items() if "results lost by a flush" in each}
    assert lost == {
        "metadata in the database": 0,
        "metadata in Redis": 1,
        "by time, into the cache": 0,
    }
    assert found["metadata in the database"]["commands a thousand rows"] == 2000
    quick = {arm: each["commands a hundred thousand rows"] for arm, each in found.items() if "a quick import" in arm}
    assert quick["by time, a quick import"] < quick["every 100 rows, a quick import"]


@pytest.mark.parametrize("path", sorted((ROOT / "labs").glob("[1-9]_*.py")), ids=lambda path: path.name)
def test_a_lab_is_the_shortest_program_that_shows_the_thing(path):
    assert len(path.read_text().splitlines()) <= 120


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_a_lab_that_is_stopped_leaves_no_process_behind(signum):
    command = [sys.executable, "-m", "labs", "3", "--short"]
    with subprocess.Popen(command, cwd=ROOT, env=environment(**NO_SERVERS), stdout=subprocess.DEVNULL) as lab:
        try:
            wait_until(lambda: any("celery" in command_line(each) for each in children_of(lab.pid)), "its worker")
            children = children_of(lab.pid)
        finally:
            lab.send_signal(signum)
    wait_until(lambda: not any(map(command_line, children)), "the end of what it started")


def children_of(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def command_line(process: psutil.Process) -> list[str]:
    """Its command line; [] once it has ended."""
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def test_the_labs_are_listed_by_their_questions():
    lines = run().splitlines()
    assert {line.partition(" ")[0] for line in lines} >= set("123456789")
    assert all("python -m labs" in line or "make lab N=" in line for line in lines)


@pytest.mark.parametrize(("rounds", "about"), [(1, "20"), (3, "60"), (6, "120")])
def test_it_says_how_long_so_many_rounds_take(rounds, about, capsys):
    lab = Lab(1, "?", "!", seconds=60, rounds=3, figures=(), sizes={}, short={})
    show_progress(lab, None, 0, rounds, time.monotonic())
    assert f" s of about {about} s  done" in capsys.readouterr().err


def test_resets_are_lost_in_a_full_broker_without_a_row():
    arms = medians("1")
    assert arms["no limit"] == arms["no limit"] | {"without error": 0, "a worker reads": 0}
    assert arms["the cache is the broker"]["without error"] == 10
    assert arms["the site, broker full"]["resets lost or hanging"] == 0


def test_rabbitmq_loses_what_it_does_not_confirm_and_the_row_keeps_what_it_refuses(rabbitmq_installed):
    arms = medians("1", "--rabbitmq")
    assert arms["no limit"] == arms["no limit"] | {"without error": 10, "resets lost or hanging": 10}
    assert arms["confirms, no time limit"]["hang"] == 10
    for site in ("the site, broker full", "the site, queue full"):
        assert arms[site] == arms[site] | {"resets lost or hanging": 0, "hang": 0}


def test_only_waiting_and_taken_messages_are_all_jobs_and_the_age_shows_a_process_more():
    arms = medians("8")
    assert arms["length of the queue"]["jobs not seen"] > 0
    assert arms["inspect()"]["worker frozen"] == 100
    assert set(arms["waiting and taken"].values()) == {0}
    one, more = arms["one process"], arms["one process more"]
    assert one["messages"]
    assert more["messages"]
    assert one["oldest waits"] > more["oldest waits"]


def test_a_slower_task_is_noticed_beside_its_own_past_only():
    arms = medians("7")
    assert {arms[arm]["noticed after"] for arm in SAY_NOTHING} == {math.inf}
    assert arms["timing.verify()"]["false alarms"] == 0
    assert arms["p95 half as high again"]["false alarms"] > 0


def test_the_machine_of_one_worker_for_everything_must_hold_every_peak():
    found = medians("9")
    apart, together = found["reports apart"], found["one worker for everything"]
    assert apart["at most"] < together["at most"]
    assert apart["largest after"] < together["largest after"]
