"""`make faults`: each fault of Celery is a program that shows it, and the docs have what the last saved run saw."""

import json

import pytest

from devtools.lab.quiet import MAX_LOAD
from devtools.processes import ROOT
from labs.faults import report
from labs.faults.experiment import Experiment, judge
from labs.faults.experiments import FAULTS
from tests import programs
from tests.conftest import environment
from tests.servers import NO_SERVERS
from tests.test_keep_house_rules import anchors

# The last one starts workers of both apps.
QUICK = ("unknown-queue", "expire-seconds-dropped", "crontab-catch-up", "removed-entries", "backend-cleanup")
QUICK += ("daylight-saving-time", "lock-of-another", "cleared-cache", "persistence", "connections-per-worker")


RUN_ORDER = [fault.id for fault in FAULTS if fault.id in QUICK]


@pytest.fixture(scope="module")
def quick_results() -> list[dict]:
    done = programs.run("labs.faults", "--json", "--only", *QUICK, env=environment(**NO_SERVERS))
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return json.loads(done.stdout)["results"]


def test_quick_ones_happen_without_the_fix_and_not_with_it(quick_results):
    assert [(each["id"], each["verdict"]) for each in quick_results] == [(name, "") for name in RUN_ORDER]
    assert all(each["without"] and each["without"] != each["with_fix"] for each in quick_results)


def test_a_fault_that_is_gone_says_so_and_a_fix_that_does_not_hold_too():
    class Mended(Experiment):
        fix = "workers/runtime/task.py"

    assert judge(Mended, True, False) == ""
    assert judge(Mended, False, False) == "this release no longer does that: the fix in workers/runtime/task.py may go"
    assert judge(Mended, True, True) == "the fix in workers/runtime/task.py does not hold on this release"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_each_fault_has_its_fact_and_its_fix(fault):
    assert fault.id in anchors(ROOT / "docs/facts" / fault.page)
    assert (ROOT / fault.fix).is_file()
    assert fault.__doc__ != Experiment.__doc__
    assert fault.how


def test_each_fault_has_one_name():
    assert len({fault.id for fault in FAULTS}) == len(FAULTS)


def test_the_page_shows_what_was_saved():
    page = report.PAGE.read_text()
    assert report.fill(page, report.to_markdown(report.read())) == page


def test_every_fault_was_saved_as_the_facts_say():
    saved = {each["id"] for run in report.read() for each in run["results"]}
    assert {fault.id for fault in FAULTS} - saved == set()
    assert {each["verdict"] for run in report.read() for each in run["results"]} == {""}


@pytest.mark.parametrize("saved", report.read(), ids=lambda saved: saved["broker"])
def test_the_saved_runs_come_from_a_quiet_machine(saved):
    assert saved["load_before"] < MAX_LOAD
