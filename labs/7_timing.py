"""A release makes a task three times slower. How many slow runs pass before somebody notices? `make lab N=7`.

The runs are real, on real workers, and the site's telemetry records them (labs/slower_prices.py). An hour of the old
release has passed when the new one begins. After every six of its runs, each way asks whether something is slower.
Then each way asks after each of the 24 steady hours of the day before, where every alarm is false. Each round deals
the runs of that day to its hours anew.
"""

import math
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from statistics import mean, median, median_low

from django.db.models import Avg, QuerySet
from django.utils import timezone

from devtools.lab import Figure, Lab, Round
from labs import slower_prices
from labs.slower_prices import HOURS, Day
from workers.models import TaskRun
from workers.practices import timing
from workers.telemetry import slowdown

TASK = slower_prices.fetch_price.name
LOOK_EVERY = 6  # runs

LAB = Lab(
    number=7,
    question="How many slow runs pass before somebody notices?",
    shows=(
        "A limit of 10 s notices the slower task {one limit for all tasks: noticed after}. The comparison of each task "
        "with its own past notices it after {timing.verify(): noticed after}, and is wrong in "
        "{timing.verify(): false alarms} steady hours. A quicker rule is wrong in "
        "{p95 half as high again: false alarms}."
    ),
    seconds=60,
    figures=(Figure("noticed after", "slow runs", digits=0), Figure("false alarms", "of 24", digits=0, in_words=True)),
    sizes={"runs an hour": 20, "films an hour": 2, "slow runs": 36},
    short={"runs an hour": 6, "films an hour": 1, "slow runs": 18},
    setup=slower_prices.recorded_day,
)


def any_run_exceeds_limit(_day: Day) -> bool:
    return last_hour().filter(run_seconds__gt=10).exists()


def mean_of_all_has_grown(_day: Day) -> bool:
    usual = TaskRun.objects.aggregate(Avg("run_seconds"))["run_seconds__avg"]
    now = last_hour().aggregate(Avg("run_seconds"))["run_seconds__avg"]
    return now > 1.5 * usual


def log_has_grown(day: Day) -> bool:
    """The log of the worker. Like its container, it began with the release."""
    succeeded = re.compile(rf"{TASK}\[.*succeeded in ([\d.]+)s")
    seconds = [float(found) for found in succeeded.findall(day.log.read_text())]
    return median_low(seconds[-LOOK_EVERY:]) > 1.5 * median_low(seconds)


def middle_has_grown(middle: Callable[[list[float]], float], _day: Day) -> bool:
    """The mean or the median of the task against that of its own past, with nothing else."""
    runs, hour_ago = TaskRun.objects.filter(task=TASK), timezone.now() - timedelta(hours=1)
    now, past = runs.filter(ended_at__gt=hour_ago), runs.filter(ended_at__lte=hour_ago)
    usual = middle(list(past.values_list("run_seconds", flat=True)))
    return middle(list(now.values_list("run_seconds", flat=True))) > 1.5 * usual


def p95_has_grown(_day: Day) -> bool:
    (speed,) = slowdown.compare_with_last_week(TASK)
    return speed.p95_seconds > 1.5 * speed.usual_p95_seconds


def verify_fails(_day: Day) -> bool:
    return timing.verify().ok is False


def last_hour() -> QuerySet[TaskRun]:
    return TaskRun.objects.filter(ended_at__gt=timezone.now() - timedelta(hours=1))


Way = Callable[[Day], bool]


def measure(is_slower: Way, lab: Round) -> dict[str, float]:
    return {"noticed after": count_slow_runs(is_slower, lab), "false alarms": count_false_alarms(is_slower, lab)}


def count_slow_runs(is_slower: Way, lab: Round) -> float:
    """Publish slow runs until the way notices, or there are no more: never."""
    day, runs = lab.shared, 0
    day.deal(lab.chance)
    with day.as_last_hour(lab.number):
        while not (noticed := runs > 0 and is_slower(day)) and runs < lab.sizes["slow runs"]:
            runs += LOOK_EVERY
            slower_prices.fetch("new", LOOK_EVERY, lab.chance)
            slower_prices.wait_for_runs("new", runs)
    TaskRun.objects.filter(release="new").delete()
    return runs if noticed else math.inf


def count_false_alarms(is_slower: Way, lab: Round) -> int:
    alarms = 0
    for number in range(HOURS):
        with lab.shared.as_last_hour(number):
            alarms += is_slower(lab.shared)
    return alarms


LAB.wrong("one limit for all tasks")(partial(measure, any_run_exceeds_limit))
LAB.wrong("mean of all runs")(partial(measure, mean_of_all_has_grown))
LAB.wrong("succeeded in N s in the log")(lambda lab: {"noticed after": count_slow_runs(log_has_grown, lab)})
LAB.beside("mean of each task")(partial(measure, partial(middle_has_grown, mean)))
LAB.beside("median of each task")(partial(measure, partial(middle_has_grown, median)))
LAB.beside("p95 half as high again")(partial(measure, p95_has_grown))
LAB.right("timing.verify()")(partial(measure, verify_fails))
