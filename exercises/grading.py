"""Grades a learner's copy: the rule, the live finding, the hidden test."""

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exercises import running
from exercises.catalogue import Exercise

EXAMINE = Path(__file__).parent / "examine.py"
# A beat writes its entries anew, and a sample is taken, within seconds after a start.
FINDING_SECONDS = 60
POLL_SECONDS = 2
LATER = "The next CHECK says why it fails."


@dataclass(frozen=True)
class Grade:
    subject: str
    passed: bool
    words: str


class BrokenSourceError(Exception):
    """The source of the copy cannot be imported."""


def grade(exercise: Exercise, folder: Path) -> Iterator[Grade]:
    """Raises TimeoutError without a site that runs the source as it is now, SceneRunningError while its scene runs."""
    is_current = running.is_current(folder)
    try:
        found = examine(folder, *([exercise.hidden_test] if is_current else []))
    except BrokenSourceError as error:
        yield Grade("rule", False, f"The source cannot be imported: {error}")
        return
    yield (rules := grade_rules(exercise, found["rules"]))
    if not is_current:
        running.wait_until_current(folder)
        if not running.is_served(folder):
            start = f"make exercise N={exercise.name}"
            yield Grade("live finding", False, f"The site of this exercise does not run. In another terminal: {start}")
            yield Grade("hidden test", False, "It runs on the servers of that site.")
            return
        found = examine(folder, exercise.hidden_test)
    tests = grade_tests(found["tests"], with_reasons=has_been_tested(folder))
    # If anything else fails, the finding cannot hold yet.
    patience = FINDING_SECONDS if all(each.passed for each in (rules, *tests)) else 0
    yield grade_finding(exercise, folder, patience)
    yield from tests


def grade_tests(found: list[tuple[str, str]], *, with_reasons: bool) -> list[Grade]:
    """A reason may give the answer away, so a first grade says only what must hold."""
    return [
        Grade("hidden test", not fault, f"{docstring} {fault if with_reasons else fault and LATER}".strip())
        for docstring, fault in found
    ]


def has_been_tested(folder: Path) -> bool:
    """Whether the hidden test of this copy was graded before. From now on it was."""
    mark = folder / ".local" / "tested"
    was_tested = mark.exists()
    mark.parent.mkdir(exist_ok=True)
    mark.touch()
    return was_tested


def grade_rules(exercise: Exercise, found: list[tuple[str, str]]) -> Grade:
    if not found:
        verb = "is" if len(exercise.rules) == 1 else "are"
        gone = f"{' and '.join(exercise.rules)} {verb} gone. " if exercise.rules else ""
        return Grade("rule", True, f"{gone}manage.py check is silent.")
    lines = [f"{'still' if rule in exercise.rules else 'new:'} {rule}: {message}" for rule, message in found]
    return Grade("rule", False, "\n      ".join(lines))


def grade_finding(exercise: Exercise, folder: Path, patience: float) -> Grade:
    deadline = time.monotonic() + patience
    while (row := read_finding(exercise.number, folder))["ok"] is False and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if row["ok"] is False:
        return Grade("live finding", False, f"Practice {exercise.number} fails: {row['reason']}")
    verdict = "holds" if row["ok"] else "does not fail"
    return Grade("live finding", True, f"Practice {exercise.number} {verdict}: {row['summary']}")


def read_finding(number: int, folder: Path) -> dict[str, Any]:
    rows = json.loads(running.run_in_copy(folder, "manage.py", "doctor", "--json").stdout)
    return next(row for row in rows if row["number"] == number)


def examine(folder: Path, *hidden_tests: Path) -> dict[str, Any]:
    """What exercises/examine.py says. Raises BrokenSourceError."""
    return read_examination(running.run_in_copy(folder, str(EXAMINE), *map(str, hidden_tests)))


def read_examination(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    if done.returncode:
        raise BrokenSourceError(done.stderr.strip().rpartition("\n")[2])
    return dict(json.loads(done.stdout))
