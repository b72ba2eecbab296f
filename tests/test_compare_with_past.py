"""Practice 7: chance rings no alarm on a steady task, and what the comparison with its last week does not find.

The run times are drawn here. Lab 7 has them from real workers.
"""

import random
from collections.abc import Callable
from statistics import mean, median, quantiles

import pytest

from workers.telemetry.slowdown import is_slower

Draw = Callable[[random.Random], float]


def lognormal(chance: random.Random) -> float:
    """Around a second, one in twenty above five: the work depends on what users upload."""
    return chance.lognormvariate(0, 1)


def bimodal(share: float) -> Draw:
    """Mostly nothing to do, and a share of runs with work: a cache that misses."""
    return lambda chance: 10 * chance.uniform(0.9, 1.1) if chance.random() < share else chance.uniform(0.09, 0.11)


def p95_of(runs: list[float]) -> float:
    """As PostgreSQL's percentile_cont does it."""
    return quantiles(runs, n=20, method="inclusive")[-1]


def share_of_alarms(draw: Draw, runs_an_hour: int, *, slowed: float = 1, hours: int = 500) -> float:
    chance = random.Random(7)

    def an_hour() -> list[float]:
        return [draw(chance) for _ in range(runs_an_hour)]

    usual, share = median(p95_of(an_hour()) for _ in range(168)), (0.05 * runs_an_hour + 0.95) / (runs_an_hour + 1)
    alarms = []
    for _ in range(hours):
        runs = [slowed * run for run in an_hour()]
        above = sum(run > usual for run in runs)
        alarms.append(is_slower(p95_of(runs), usual, runs=runs_an_hour, above=above, share=share))
    return mean(alarms)


@pytest.mark.parametrize("runs_an_hour", [2, 6, 20, 60])
@pytest.mark.parametrize("draw", [lognormal, bimodal(0.04), bimodal(0.06), bimodal(0.3)])
def test_chance_rings_no_alarm_on_a_steady_task(draw, runs_an_hour):
    assert share_of_alarms(draw, runs_an_hour) == 0


def test_a_task_that_is_three_times_slower_is_found():
    assert share_of_alarms(lognormal, 60, slowed=3) > 0.8
    assert share_of_alarms(bimodal(0.04), 6, slowed=3) == 1


def test_two_runs_an_hour_are_too_few_to_say_anything():
    assert share_of_alarms(lognormal, 2, slowed=3) == 0


def test_a_p95_among_the_runs_with_work_hides_those_without():
    """The usual p95 is that of the runs of 10 s, and runs of 0.1 s stay below it when they take 0.3 s."""
    assert share_of_alarms(bimodal(0.3), 20, slowed=3) < 0.1
