"""Somebody asks whether the nine practices hold: on the command line, as JSON, on the page."""

import json
import re
from threading import Event, Thread

import pytest

from devtools.processes import DEADLINE_SECONDS
from tests import programs
from tests.conftest import environment
from tests.doctor import ask_doctor
from tests.outages import (
    OUTAGES,
    dropping_address,
    make_unreachable,
    refusing_address,
    silent_address,
    unreachable_broker,
    unreachable_database,
)
from workers import deadline
from workers.practices import Finding, progress, registry, timing

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = range(1, 10)


def all_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    for practice in registry.PRACTICES:
        monkeypatch.setattr(practice.module, "verify", lambda: Finding(True, "1 of 1"))


def test_the_doctor_prints_a_line_for_each_practice():
    said, _ = ask_doctor()
    starts = [int(line[0]) for line in said.splitlines() if line[0].isdigit()]
    assert starts == list(ROWS)


def test_the_doctor_prints_json_for_machines():
    said, _ = ask_doctor("--json")
    rows = json.loads(said)
    assert [row["number"] for row in rows] == list(ROWS)
    assert set(rows[0]) == {"number", "practice", "file", "runbook", "ok", "summary", "reason", "figure"}


def test_the_exit_code_is_the_worst_of_the_nine(monkeypatch):
    all_hold(monkeypatch)
    assert ask_doctor()[1] == 0
    monkeypatch.setattr(timing, "verify", lambda: Finding(None, "unknown", "nobody knows"))
    assert ask_doctor()[1] == 2
    monkeypatch.setattr(progress, "verify", lambda: Finding(False, "1 silent", "No sign of life."))
    said, code = ask_doctor()
    assert code == 1
    assert "No sign of life. (workers/practices/progress.py)" in said


def test_only_a_row_that_does_not_hold_names_its_runbook(monkeypatch):
    all_hold(monkeypatch)
    assert "runbooks" not in ask_doctor()[0]
    monkeypatch.setattr(timing, "verify", lambda: Finding(None, "unknown", "nobody knows"))
    monkeypatch.setattr(progress, "verify", lambda: Finding(False, "1 silent", "No sign of life."))
    paths = re.findall(r"^  What to do: (.+)$", ask_doctor()[0], re.MULTILINE)
    assert paths == [registry.PRACTICES[number - 1].runbook for number in (6, 7)]
    assert [row["runbook"] for row in json.loads(ask_doctor("--json")[0])] == [
        each.runbook for each in registry.PRACTICES
    ]


def test_a_measurement_that_raises_is_unknown(monkeypatch):
    all_hold(monkeypatch)
    monkeypatch.setattr(timing, "verify", lambda: 1 / 0)
    said, code = ask_doctor()
    assert code == 2
    assert "ZeroDivisionError" in said
    assert "Traceback" not in said


def test_only_a_measurement_that_hangs_is_unknown(monkeypatch):
    all_hold(monkeypatch)
    answer = Event()
    monkeypatch.setattr(timing, "verify", answer.wait)
    try:
        found = {practice.module: finding for practice, finding in registry.verify_all()}
    finally:
        answer.set()
    silent = found.pop(timing)
    assert (silent.ok, "No answer within" in silent.reason) == (None, True)
    assert {finding.ok for finding in found.values()} == {True}


@pytest.mark.parametrize(
    ("outage", "scheme"),
    [(refusing_address, "amqp"), (silent_address, "amqp"), (silent_address, "redis"), (dropping_address, "redis")],
)
def test_all_nine_are_unknown_with_every_server_away(outage, scheme):
    with outage() as address:
        away = {
            "DATABASE_URL": f"postgres://app:sesame@{address}/mediaapp",
            "REDIS_URL": f"redis://:sesame@{address}/0",
            "LOCKS_URL": f"redis://:sesame@{address}/2",
            "BROKER_URL": f"{scheme}://app:sesame@{address}/0",
            "BROKER_MANAGEMENT_URL": f"http://app:sesame@{address}",
        }
        done = programs.run("manage", "doctor", "--json", env=environment(**away))
    rows = json.loads(done.stdout)  # no line of a log beside it
    assert [row["ok"] for row in rows] == [None] * 9
    assert all(row["reason"] for row in rows)
    assert (done.returncode, done.stderr) == (2, "")
    assert "sesame" not in done.stdout


@pytest.mark.parametrize("alias", ["default", "locks"])
def test_a_practice_is_unknown_with_a_server_away(settings, alias):
    make_unreachable(settings, alias)
    said, code = ask_doctor("--json")
    assert code != 0
    assert None in [row["ok"] for row in json.loads(said)]


def test_everybody_sees_whether_they_hold(client):
    page = client.get("/practices/").content.decode()
    for practice in registry.PRACTICES:
        assert practice.title in page
        assert practice.file in page


def test_readers_of_the_page_share_one_measurement_and_the_doctor_does_not(client, monkeypatch):
    measured = []
    for practice in registry.PRACTICES:
        monkeypatch.setattr(practice.module, "verify", lambda: measured.append(1) or Finding(True, "1 of 1"))
    readers = [Thread(target=registry.finding_cache.read) for _ in range(5)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    client.get("/practices/")
    assert len(measured) == 9
    ask_doctor()
    assert len(measured) == 18


def test_the_page_measures_again_after_a_while(client, monkeypatch):
    monkeypatch.setattr(registry, "TTL", 0)
    for hold in (True, False):
        for practice in registry.PRACTICES:
            monkeypatch.setattr(practice.module, "verify", lambda hold=hold: Finding(hold, "1 of 1"))
        assert ("9 do not" in " ".join(client.get("/practices/").content.decode().split())) is not hold


def test_a_reader_waits_a_limited_time_for_another_measurement(client, monkeypatch):
    monkeypatch.setattr(deadline, "DEADLINE_SECONDS", 0.2)
    began, release = Event(), Event()
    monkeypatch.setattr(registry, "verify_all", lambda: began.set() or [release.wait(DEADLINE_SECONDS)][:0])
    other = Thread(target=registry.finding_cache.read)
    other.start()
    try:
        assert began.wait(DEADLINE_SECONDS)
        page = client.get("/practices/")
    finally:
        release.set()
        other.join()
    assert "9 cannot be measured" in " ".join(page.content.decode().split())


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.__name__)
def test_the_page_and_the_probe_answer_with_every_server_away(as_stella, settings, outage):
    with outage() as address:
        settings.BROKER_URL = f"redis://{address}/0"
        for alias in ("default", "locks"):
            make_unreachable(settings, alias, f"redis://{address}/1")
        with unreachable_database(address), unreachable_broker(settings.BROKER_URL):
            page = as_stella.get("/practices/")
            probe = as_stella.get("/readyz")
    assert page.status_code == 200
    assert "9 cannot be measured" in " ".join(page.content.decode().split())
    assert probe.status_code == 503
    assert "ok" not in probe.json().values()


def test_the_figures_are_for_staff_alone(client, as_stella, monkeypatch):
    for practice in registry.PRACTICES:
        monkeypatch.setattr(practice.module, "verify", lambda: Finding(False, "7 of 9 secret", "A secret reason."))
    public = client.get("/practices/").content.decode()
    assert "secret" not in public
    assert "9 do not" in " ".join(public.split())
    staff = as_stella.get("/practices/").content.decode()
    assert "7 of 9 secret" in staff
    assert "A secret reason." in staff
