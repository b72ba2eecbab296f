"""How often does practice 7 raise a false alarm? `python -m labs 7` (a minute).

The run times of each task come from one distribution for ever. The lab makes a week of hourly p95s for each, then
judges the hours of a day by two rules: the first that comes to mind (p95 half as much again as usual), and that of
timing.verify(). Every alarm is false. The last column makes the same tasks three times as slow.
"""

import random
from collections.abc import Callable, Sequence
from statistics import median

from workers.telemetry.slowdown import MIN_DIFFERENCE_SECONDS, MIN_RATIO, is_slower

HOURS = 20_000  # judged per task and rate
WEEK, DAY = 168, 24


def lognormal(chance: random.Random) -> float:
    """Around a second, one in twenty above five: the work depends on what users upload."""
    return chance.lognormvariate(0, 1)


def bimodal(share: float) -> Callable[[random.Random], float]:
    """Mostly nothing to do (0.1 s), and a `share` of runs with work (10 s): a sweep, a cache that misses."""
    return lambda chance: chance.gauss(10, 1) if chance.random() < share else chance.gauss(0.1, 0.01)


TASKS = {"lognormal": lognormal, "4 % slow": bimodal(0.04), "6 % slow": bimodal(0.06), "30 % slow": bimodal(0.3)}
RATES = (2, 6, 60, 360)  # runs an hour


def p95_of(runs: Sequence[float]) -> float:
    """As PostgreSQL's percentile_cont does it."""
    ordered, place = sorted(runs), 0.95 * (len(runs) - 1)
    low = ordered[int(place)]
    return low + (ordered[min(int(place) + 1, len(runs) - 1)] - low) * (place % 1)


def judge(
    task: Callable[[random.Random], float], rate: int, slowed: float, hours: int, seed: int
) -> tuple[float, float]:
    """The share of hours in which the first rule, and ours, call the task slower."""
    chance = random.Random(seed)
    naive = ours = judged = 0
    while judged < hours:
        week = [p95_of([task(chance) for _ in range(rate)]) for _ in range(WEEK)]
        usual, share = median(week), (0.05 * rate + 0.95) / (rate + 1)
        for _ in range(DAY):
            runs = [slowed * task(chance) for _ in range(rate)]
            p95, above = p95_of(runs), sum(run > usual for run in runs)
            naive += p95 >= max(MIN_RATIO * usual, usual + MIN_DIFFERENCE_SECONDS)
            ours += is_slower(p95, usual, runs=rate, above=above, share=share)
            judged += 1
    return naive / judged, ours / judged


def main() -> None:
    print(f"{'task':<12}{'runs/h':>8}{'first rule':>14}{'verify()':>14}{'finds x 3':>12}")
    for name, task in TASKS.items():
        for rate in RATES:
            hours = max(2_000, HOURS * 6 // max(rate, 6))
            naive, ours = judge(task, rate, 1, hours, seed=7)
            _, found = judge(task, rate, 3, hours // 10, seed=8)
            print(f"{name:<12}{rate:>8}{naive:>14.3%}{ours:>14.3%}{found:>12.1%}")
