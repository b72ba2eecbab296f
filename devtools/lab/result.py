"""What a lab has measured, as it is saved: docs/results/<number>.json, or <number>-rabbitmq.json."""

import json
import math
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from devtools.lab.contract import Figure
from devtools.processes import ROOT

FOLDER = ROOT / "docs/results"
PACKAGES = ("celery", "kombu", "django", "redis", "psycopg")


@dataclass(frozen=True)
class Measured:
    """Of all rounds."""

    median: float
    low: float
    high: float
    values: Sequence[float]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Measured":
        return cls(median(values), min(values), max(values), [round(value, 6) for value in values])


@dataclass(frozen=True)
class ArmResult:
    """versus: the name of the arm that it is compared with, or "" for none."""

    name: str
    is_right: bool | None
    versus: str
    figures: dict[str, Measured]
    in_chart: bool = True


@dataclass(frozen=True)
class Result:
    """sentence: what the lab shows. date: ISO 8601, UTC. machine: its cores, its load before, the versions of parts."""

    lab: int
    question: str
    command: str
    date: str
    broker: str
    seed: int
    rounds: int
    sizes: dict[str, float]
    stated_seconds: int
    took_seconds: float
    machine: dict[str, Any]
    figures: list[Figure]
    arms: list[ArmResult]
    sentence: str = field(default="")

    def cite(self, key: str) -> str:
        """The figure that a key names: "arm: figure", or "arm: figure, low", "high" or "ratio". Raises KeyError."""
        name, _, rest = key.partition(": ")
        wanted, _, part = rest.partition(", ")
        arms, figures = [each.name for each in self.arms], [each.name for each in self.figures]
        if name not in arms or wanted not in figures:
            raise KeyError(f"{key!r}: lab {self.lab} has the arms {arms} and the figures {figures}")
        figure, arm = self.figure(wanted), self.arm(name)
        if part == "ratio":
            if (ratio := self.ratio(arm, figure)) is None:
                raise KeyError(key)
            return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.1f} times"
        return figure.format(getattr(arm.figures[wanted], part or "median"))

    def fill(self, sentence: str) -> str:
        """The sentence with a figure for each key in braces."""
        return re.sub(r"\{([^}]+)\}", lambda found: self.cite(found.group(1)), sentence)

    def ratio(self, arm: ArmResult, figure: Figure) -> float | None:
        """How many times worse an arm is than the one it is compared with. None without both, beside a 0 or a never."""
        if not arm.versus or any(figure.name not in each.figures for each in (arm, self.arm(arm.versus))):
            return None
        mine, best = (each.figures[figure.name].median for each in (arm, self.arm(arm.versus)))
        large, small = (mine, best) if figure.lower_is_better else (best, mine)
        return large / small if small and math.isfinite(large) else None

    def figure(self, name: str) -> Figure:
        return next(each for each in self.figures if each.name == name)

    def arm(self, name: str) -> ArmResult:
        return next(each for each in self.arms if each.name == name)

    @property
    def source(self) -> str:
        """Where the figures are from, as a caption says it."""
        machine, day = self.machine, self.date.partition("T")[0]
        rounds = f"{self.rounds} rounds" if self.rounds > 1 else "one round"
        return (
            f"{day}, {self.broker}, Celery {machine['versions']['celery']}, {machine['cores']} cores, "
            f"load before {machine['load']:.1f}; {rounds}, seed {self.seed}, {self.took_seconds:.0f} s"
        )


def describe_machine(load: float) -> dict[str, Any]:
    """load: of the last minute, before the lab."""
    return {
        "cores": os.cpu_count(),
        "memory_mb": psutil.virtual_memory().total >> 20,
        "system": platform.platform(terse=True),
        "load": round(load, 2),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }


def path_of(lab: int, broker: str, folder: Path = FOLDER) -> Path:
    """broker: the first word counts, as in "RabbitMQ 4.0.5"."""
    return folder / (f"{lab}-rabbitmq.json" if broker.startswith("RabbitMQ") else f"{lab}.json")


def save(result: Result, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(result), indent=1, ensure_ascii=False)
    path.write_text(text.replace("Infinity", "1e999") + "\n")  # JSON has no infinity, but such numbers


def load(path: Path) -> Result:
    """Raises FileNotFoundError."""
    read = json.loads(path.read_text())
    read["figures"] = [Figure(**figure) for figure in read["figures"]]
    for arm in read["arms"]:
        arm["figures"] = {name: Measured(**measured) for name, measured in arm["figures"].items()}
    read["arms"] = [ArmResult(**arm) for arm in read["arms"]]
    return Result(**read)
