"""What runs of the experiments saw: as text, in docs/results/faults.json, and in docs/what-celery-does.md."""

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from django.db import connection

from devtools.processes import ROOT
from labs.faults.brokers import Broker, release_of
from labs.faults.experiment import Experiment, Outcome
from labs.faults.experiments import FAULTS, SUBJECTS

RESULTS, PAGE = ROOT / "docs/results/faults.json", ROOT / "docs/what-celery-does.md"
BEGIN, END = "[//]: # (written by make faults)", "[//]: # (end of what it wrote)"  # which no page shows
NAMES = {"tls": "TLS", "eta": "ETA", "sigterm": "SIGTERM", "rabbitmq": "RabbitMQ"}  # as a title writes these words
PACKAGES = ("celery", "kombu", "billiard", "amqp", "redis", "django-celery-beat", "django")
Measured = dict[str, Any]


def describe(broker: Broker, load: float, seconds: float, results: list[Outcome]) -> Measured:
    return {
        "broker": release_of(broker),
        "date": datetime.now(UTC).date().isoformat(),
        "processors": os.cpu_count(),
        "load_before": round(load, 1),
        "seconds": round(seconds),
        "versions": versions(broker),
        "results": [result.as_json() for result in results],
    }


def versions(broker: Broker) -> dict[str, str]:
    number = connection.cursor().execute("SHOW server_version").fetchone()[0]
    found = {"Python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    return found | {"PostgreSQL": number.partition(" ")[0], release_of(broker).partition(" ")[0]: broker.release}


def to_text(measured: Measured) -> str:
    lines = [f"{measured['broker']}, a load of {measured['load_before']} before, {measured['seconds']} s"]
    lines.append(", ".join(f"{name} {value}" for name, value in measured["versions"].items()))
    for each in measured["results"]:
        lines.append(f"{each['id']:<28} {each['seconds']:>4.0f} s  off: {each['without']}")
        lines.append(f"{'':<36} on: {each['with_fix']}")
        lines.extend([f"{'':<36} {each['verdict']}"] if each["verdict"] else [])
    return "\n".join(lines)


def save(measured: Measured) -> None:
    """Beside the saved runs on other releases of brokers. What did not run keeps its last outcome."""
    runs = {run["broker"]: run for run in read()}
    before = {each["id"]: each for each in runs.get(measured["broker"], {}).get("results", [])}
    found = before | {each["id"]: each for each in measured["results"] if each["with_fix"]}
    ordered = [found[fault.id] for fault in FAULTS if fault.id in found]
    seconds = round(sum(each["seconds"] for each in ordered))
    runs[measured["broker"]] = measured | {"results": ordered, "seconds": seconds}
    RESULTS.parent.mkdir(exist_ok=True)
    text = json.dumps([runs[name] for name in sorted(runs, key=_place)], indent=1)
    RESULTS.write_text(f"{text}\n")
    write_page()


def _place(broker: str) -> tuple[bool, list[int]]:
    name, _, release = broker.partition(" ")
    return name != "Valkey", [int(part) for part in release.split(".")]


def read() -> list[Measured]:
    runs: list[Measured] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    return runs


def saved_seconds(broker: Broker) -> dict[str, float]:
    """What each fault took when it was saved last, by its id."""
    runs = [run for run in read() if run["broker"] == release_of(broker)]
    return {each["id"]: each["seconds"] for run in runs for each in run["results"]}


def write_page() -> None:
    PAGE.write_text(fill(PAGE.read_text(), to_markdown(read())))


def fill(page: str, table: str) -> str:
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{table}\n{END}{rest.partition(END)[2]}"


def to_markdown(runs: list[Measured]) -> str:
    lines = []
    for run in runs:
        each = ", ".join(f"{name} {value}" for name, value in run["versions"].items())
        lines.append(
            f"- **{run['broker']}** on {run['date']}, {run['processors']} processors, a load of {run['load_before']} "
            f"before the start, {run['seconds']} s: {each}."
        )
    for subject, faults in SUBJECTS.items():
        lines += ["", f"### {subject}"]
        for fault in faults:
            lines += ["", *_entry(fault, runs)]
    return "\n".join([*lines, ""])


def _entry(fault: type[Experiment], runs: list[Measured]) -> list[str]:
    """Its heading is its id in words, so that it has the same address as the fact."""
    seen = {run["broker"]: each for run in runs for each in run["results"] if each["id"] == fault.id}
    sides = ({broker: each[side] for broker, each in seen.items()} for side in ("without", "with_fix"))
    off, on = (_together(side, len(runs)) for side in sides)
    said = " ".join((fault.__doc__ or "").split())
    return [
        f"#### {_title(fault.id)}",
        "",
        f"{said} ([Measured](facts/{fault.page}#{fault.id}).)",
        "",
        f"- Our fix off: {off}.",
        f"- Our fix on: {on}.",
        f"- The fix: [{Path(fault.fix).name}](../{fault.fix}): {fault.how}.",
    ]


def _title(name: str) -> str:
    first, *rest = (NAMES.get(word, word) for word in name.split("-"))
    return " ".join([first[0].upper() + first[1:], *rest])


def _together(seen: dict[str, str], brokers_saved: int) -> str:
    """The brokers on which it came out alike are named together, and none where it did so on all."""
    brokers: dict[str, list[str]] = {}
    for broker, words in seen.items():
        brokers.setdefault(words, []).append(broker)
    return "; ".join(
        f"**{words}**" + ("" if len(names) == brokers_saved else f" ({', '.join(names)})")
        for words, names in brokers.items()
    )
