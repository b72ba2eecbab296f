"""The results of a practice's lab: those that the repository keeps, and those of this machine.

Labs write them (devtools/lab/result.py). A file may be missing, half written or of another release: it is then shown as
unreadable, because no page fails for it.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

NAMES = ("{}", "{}-rabbitmq")
KINDS = {True: "right", False: "wrong", None: ""}
UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class LabResult:
    """is_own: of this machine. medians: of the first figure, with its unit, by arm. kinds: of each arm, a word."""

    is_own: bool
    broker: str
    moment: datetime
    question: str
    sentence: str
    command: str
    rounds: int
    cores: int
    load: float
    figure: str
    medians: dict[str, str]
    kinds: dict[str, str]


@dataclass(frozen=True)
class Lab:
    """What is known of a practice's lab. rows: of each arm its kind, its name, and its figure in each result."""

    results: list[LabResult]
    unreadable: list[str]

    @property
    def newest(self) -> LabResult | None:
        """Of this machine, if there is one; else the saved one on Valkey, where `make lab` runs."""
        own = [each for each in self.results if each.is_own]
        return max(own, key=lambda each: each.moment, default=next(iter(self.results), None))

    @property
    def rows(self) -> Iterator[tuple[str, str, list[str]]]:
        kinds = {name: kind for each in self.results for name, kind in each.kinds.items()}
        for name, kind in kinds.items():
            yield kind, name, [each.medians.get(name, "") for each in self.results]


def read_lab(number: int) -> Lab:
    results, unreadable = [], []
    for folder, is_own in ((settings.BASE_DIR / "docs" / "results", False), (settings.LOCAL_DIR / "labs", True)):
        for name in NAMES:
            path = folder / f"{name.format(number)}.json"
            try:
                results.append(_read(path, is_own=is_own))
            except FileNotFoundError:
                continue
            except UNREADABLE:
                unreadable.append(path.name if is_own else str(path.relative_to(settings.BASE_DIR)))
    return Lab(results, unreadable)


def _read(path: Path, *, is_own: bool) -> LabResult:
    """Raises one of UNREADABLE."""
    read: dict[str, Any] = json.loads(path.read_text())
    figure, arms = read["figures"][0], read["arms"]
    name, digits, unit = str(figure["name"]), int(figure["digits"]), str(figure["unit"])
    measured = {str(arm["name"]): arm["figures"][name]["median"] for arm in arms if name in arm["figures"]}
    return LabResult(
        is_own=is_own,
        broker=str(read["broker"]),
        moment=datetime.fromisoformat(read["date"]).astimezone(),
        question=str(read["question"]),
        sentence=str(read["sentence"]),
        command=str(read["command"]),
        rounds=int(read["rounds"]),
        cores=int(read["machine"]["cores"]),
        load=float(read["machine"]["load"]),
        figure=name,
        medians={
            arm: "never" if math.isinf(value) else f"{value:,.{digits}f} {unit}".rstrip()
            for arm, value in measured.items()
        },
        kinds={str(arm["name"]): KINDS[arm["is_right"]] for arm in arms},
    )
