"""Prometheus' rules ring when they should, by promtool; each query names what the site tells."""

import re
import shutil
from pathlib import Path

import pytest

from devtools.processes import ROOT
from tests.prometheus import MONITORING, faults, promtool, read_series

FOLDER = MONITORING / "prometheus"
RULES = (FOLDER / "rules.yml").read_text()
TESTS = sorted(FOLDER.glob("*_test.yml"))
ALERTS = re.findall(r"^ +- alert: (\w+)$", RULES, re.MULTILINE)


def test_prometheus_accepts_the_rules():
    done = promtool("check", "rules", "rules.yml", folder=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS) + RULES.count('- record:')} rules found" in done.stdout


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_the_alerts_ring_and_are_silent_as_their_own_tests_say(file: Path):
    done = promtool("test", "rules", file.name, folder=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "alert"),
    [
        ("mediaapp_late_runs:ratio_rate5m > 14.4 * 0.01", "mediaapp_late_runs:ratio_rate5m >= 0", "BudgetBurnsFast"),
        (
            "max by (queue) (mediaapp_queue_paused) == 1\n        for: 2m",
            "vector(0) == 1\n        for: 2m",
            "QueueLate",
        ),
        ("> 120", "> 30", "MonitorSilent"),
    ],
)
def test_their_tests_notice_a_wrong_rule(tmp_path: Path, right: str, wrong: str, alert: str):
    assert right in RULES
    (tmp_path / "rules.yml").write_text(RULES.replace(right, wrong))
    shutil.copy(FOLDER / "rules_test.yml", tmp_path)
    done = promtool("test", "rules", "rules_test.yml", folder=tmp_path)
    assert done.returncode == 1
    assert alert in done.stdout + done.stderr


def test_each_alert_rings_in_one_test_and_is_silent_in_another():
    text = re.sub(r"\s+", " ", "".join(file.read_text() for file in TESTS))
    results = re.findall(r"alertname: (\w+),? eval_time: \w+,? exp_alerts: (\[\])?", text)
    assert {alert for alert, silent in results if silent} == set(ALERTS)
    assert {alert for alert, silent in results if not silent} == set(ALERTS)


def test_each_rule_names_metrics_and_labels_that_the_site_tells(db):
    series = read_series()
    rules = [part for part in re.split(r"^ +- \w+: ", RULES, flags=re.MULTILINE) if "expr:" in part]
    assert len(rules) > len(ALERTS)
    assert {rule.split()[0]: found for rule in rules if (found := faults(rule, series))} == {}


def test_each_alert_leads_to_a_runbook():
    addresses = re.findall(r"^ +runbook: \"?(.+?)\"?$", RULES, re.MULTILINE)
    assert len(addresses) == len(ALERTS)
    slugs = {address.split("/")[3] for address in addresses} - {"{{ $labels.practice }}"}
    assert [slug for slug in slugs if not (ROOT / "docs" / "runbooks" / f"{slug}.md").exists()] == []


def test_each_alert_of_its_own_is_in_its_runbook():
    """That of a practice has the practice's sentences instead."""
    folder = ROOT / "docs" / "runbooks"
    for alert, slug in zip(ALERTS, re.findall(r"runbooks/([^/]+)/", RULES), strict=True):
        assert "labels" in slug or f"`{alert}`" in (folder / f"{slug}.md").read_text(), alert


def test_the_chapter_has_each_alert():
    chapter = (ROOT / "docs" / "metrics.md").read_text()
    assert re.findall(r"^\| `(Mediaapp\w+)` \|", chapter, re.MULTILINE) == ALERTS
