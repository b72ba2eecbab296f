"""What a lab declares: its question, its sizes, its figures and its arms."""

import math
import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

MILLISECONDS_BELOW = 0.1  # seconds


@dataclass(frozen=True)
class Figure:
    """A thing that arms measure. digits: after the point, where it is shown. A value of math.inf is "never".

    Seconds below a tenth are shown as milliseconds. The chart has the first figure as bars, and others in words behind
    them if they are `in_words`.
    """

    name: str
    unit: str
    lower_is_better: bool = True
    digits: int = 2
    in_words: bool = False

    def format(self, value: float) -> str:
        """A value with its unit: "6.41 s", "8 ms", "53,608 rows/s"."""
        if self.unit == "s" and 0 < value < MILLISECONDS_BELOW:
            return f"{1000 * value:.0f} ms"
        return "never" if math.isinf(value) else f"{value:,.{self.digits}f} {self.unit}".rstrip()


@dataclass(frozen=True)
class Round:
    """One run of one arm. chance: the same numbers for every arm of a round. shared: what the lab's setup yields."""

    number: int
    sizes: Mapping[str, float]
    chance: random.Random
    shared: Any


@dataclass(frozen=True)
class Arm:
    """is_right: None for an arm that is neither wrong nor right. versus: see Lab.compared_with.

    in_chart: False for an arm whose bar would hide how the others differ.
    """

    name: str
    is_right: bool | None
    versus: str
    in_chart: bool
    run: Callable[[Round], Mapping[str, float]]


@dataclass(frozen=True)
class Lab:
    """One experiment. It is about the first figure, in which each wrong arm must do worse than its right one.

    shows: one sentence, in which {arm: figure} stands for a median, and {arm: figure, ratio} for how many times worse
    it is than the arm that it is compared with.
    seconds: what all rounds take on two cores. short: sizes for tests, which run one round.
    setup: opened once around all rounds; it gets the sizes.
    """

    number: int
    question: str
    shows: str
    seconds: int
    figures: tuple[Figure, ...]
    sizes: Mapping[str, float]
    short: Mapping[str, float]
    rounds: int = 3
    at_least: float = 1  # how many times worse each wrong arm must be at least
    setup: Callable[[Mapping[str, float]], AbstractContextManager[Any]] = lambda _: nullcontext()
    arms: list[Arm] = field(default_factory=list)

    def wrong(self, name: str, *, versus: str = "", in_chart: bool = True) -> Callable[[Any], Any]:
        """Decorate a function as a wrong arm. versus: the name of its right arm; the first one, if there is no name."""
        return self._arm(name, False, versus, in_chart)

    def right(self, name: str, *, versus: str = "") -> Callable[[Any], Any]:
        return self._arm(name, True, versus)

    def beside(self, name: str, *, versus: str = "", in_chart: bool = True) -> Callable[[Any], Any]:
        """Decorate a function as an arm that is neither wrong nor right. Its figures are shown beside the others."""
        return self._arm(name, None, versus, in_chart)

    def _arm(self, name: str, is_right: bool | None, versus: str, in_chart: bool = True) -> Callable[[Any], Any]:
        def add(run: Callable[[Round], Mapping[str, float]]) -> Callable[[Round], Mapping[str, float]]:
            self.arms.append(Arm(name, is_right, versus, in_chart, run))
            return run

        return add

    def compared_with(self, arm: Arm) -> str:
        """The name of an arm, or "" for none. A wrong one that names none is compared with the first right one."""
        if arm.versus or arm.is_right is not False:
            return arm.versus
        return next(each.name for each in self.arms if each.is_right)
