"""Somebody asks how the nine practices stand: on the command line, for a machine, on the page."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from tests.outages import take_away
from workers.practices import Finding, nine, progress, timing

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = range(1, 10)


def ask(*options: str) -> tuple[str, int]:
    said = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", *options, stdout=said, no_color=True)
    return said.getvalue(), ended.value.code


def all_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    for practice in nine.PRACTICES:
        monkeypatch.setattr(practice.module, "verify", lambda: Finding(True, "1 of 1"))


def test_it_says_a_line_for_each_of_the_nine():
    said, _ = ask()
    starts = [int(line[0]) for line in said.splitlines() if line[0].isdigit()]
    assert starts == list(ROWS)


def test_a_machine_gets_the_same_as_json():
    said, _ = ask("--json")
    rows = json.loads(said)
    assert [row["number"] for row in rows] == list(ROWS)
    assert set(rows[0]) == {"number", "practice", "file", "holds", "figure", "why"}


def test_the_exit_code_is_the_worst_of_the_nine(monkeypatch):
    all_hold(monkeypatch)
    assert ask()[1] == 0
    monkeypatch.setattr(timing, "verify", lambda: Finding(None, "unknown", "nobody knows"))
    assert ask()[1] == 2
    monkeypatch.setattr(progress, "verify", lambda: Finding(False, "1 silent", "No sign of life."))
    said, code = ask()
    assert code == 1
    assert "No sign of life. (workers/practices/progress.py)" in said


def test_a_measurement_that_fails_itself_is_unknown_and_no_traceback(monkeypatch):
    all_hold(monkeypatch)
    monkeypatch.setattr(timing, "verify", lambda: 1 / 0)
    said, code = ask()
    assert code == 2
    assert "ZeroDivisionError" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("alias", ["default", "locks"])
def test_with_a_server_away_it_says_unknown(settings, alias):
    take_away(settings, alias)
    said, code = ask("--json")
    assert code != 0
    assert None in [row["holds"] for row in json.loads(said)]


def test_everybody_sees_whether_they_hold(client):
    page = client.get("/practices/").content.decode()
    for practice in nine.PRACTICES:
        assert practice.title in page
        assert practice.file in page


def test_the_figures_are_for_staff_alone(client, as_stella, monkeypatch):
    for practice in nine.PRACTICES:
        monkeypatch.setattr(practice.module, "verify", lambda: Finding(False, "7 of 9 secret", "A secret reason."))
    public = client.get("/practices/").content.decode()
    assert "secret" not in public
    assert "9 do not" in " ".join(public.split())
    staff = as_stella.get("/practices/").content.decode()
    assert "7 of 9 secret" in staff
    assert "A secret reason." in staff
