"""Prometheus' own tool, and the series that the site tells it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.core import Metric

from devtools.processes import ROOT
from mediaapp.metrics.scrape import Scrape

MONITORING = ROOT / "monitoring"
SUFFIXES = {"counter": ("_total",), "info": ("_info",), "histogram": ("_bucket", "_count", "_sum")}


def promtool(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Skips the test where promtool is not installed; where CI is set, fails it."""
    program = shutil.which("promtool")
    if not program:
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent("no promtool: apt-get install prometheus")
    return subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def read_series() -> dict[str, set[str]]:
    """The labels of each series' name, such as mediaapp_task_run_seconds_bucket."""
    return {name: labels for family in Scrape().collect() for name, labels in _series_of(family)}


def _series_of(family: Metric) -> Iterator[tuple[str, set[str]]]:
    own = {*family._labelnames, *(label for sample in family.samples for label in sample.labels)} - {"le"}
    for suffix in SUFFIXES.get(family.type, ("",)):
        yield family.name + suffix, own | ({"le"} if suffix == "_bucket" else set())


def faults(query: str, series: dict[str, set[str]]) -> list[str]:
    """The names of metrics and labels in a query that no series has."""
    names = set(re.findall(r"(?<![\w:])mediaapp_\w+", query))
    unknown = names - series.keys()
    labels = {label for name in names - unknown for label in series[name]} | {"instance"}
    grouped = [
        label for group in re.findall(r"\b(?:by|on|without)\s*\(([^)]*)\)", query) for label in re.split(r"\W+", group)
    ]
    matched = re.findall(r"[{,]\s*(\w+)\s*(?:=|!=|=~|!~)\s*\"", query)
    return [*sorted(unknown), *sorted({*grouped, *matched} - labels - {""})]
