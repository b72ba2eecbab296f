"""What all of ours costs a task: one that does nothing, and one of a second with timing, lock and progress.

The same worker of the Procfile (pool, concurrency, options) runs our app and two plain ones, which know no Django and
take turns with ours. Its seconds wait instead of computing, so that all that is seen is overhead.
"""

from collections.abc import Iterator
from statistics import median

from bench.contest import Contender, contender
from bench.rows import Row

WARM_UP = 20  # tasks, so that each process of the pool has opened its connections
NOTHING, SECOND, GUARDED = "bench.tasks.do_nothing", "bench.tasks.take_a_second", "bench.guarded.take_a_second"


def measure(*, quick: bool) -> Iterator[Row]:
    """Rounds in turn, and the medians of what they give."""
    with (
        contender("config", 4) as ours,
        contender("bench.plain:app", 5) as plain,
        contender("bench.plain:defaults", 6) as defaults,
    ):
        for each in (ours, plain, defaults):
            each.work_off(NOTHING, WARM_UP)
        yield from of_a_second(ours, plain, *((4, 1) if quick else (20, 5)))
        yield from of_nothing((ours, plain, defaults), *((20, 1) if quick else (500, 9)))


def of_a_second(ours: Contender, plain: Contender, count: int, rounds: int) -> Iterator[Row]:
    """What ours takes more, as a share of the task's second. Four run at once."""
    longer, more = [], []
    for _ in range(rounds):
        wall, cpu = ours.work_off(GUARDED, count)
        plain_wall, plain_cpu = plain.work_off(SECOND, count)
        longer.append(100 * (wall / plain_wall - 1))
        more.append(100 * (cpu - plain_cpu) / count)
    yield Row("timing + lock + progress on a task of 1 s, wall time", median(longer), "%", at_most=3)
    yield Row("timing + lock + progress on a task of 1 s, CPU", median(more), "%", at_most=3)


def of_nothing(contenders: tuple[Contender, Contender, Contender], count: int, rounds: int) -> Iterator[Row]:
    """Tasks per second beside those of a plain app with our delivery options, and of one with Celery's."""
    turns = [[each.work_off(NOTHING, count) for each in contenders] for _ in range(rounds)]
    walls, cpus = ([[each[which] for each in turn] for turn in turns] for which in (0, 1))
    ours, plain, defaults = (count / median(wall) for wall in zip(*walls, strict=True))
    note = f"{ours:.0f}/s, plain {plain:.0f}/s with our acks_late, reject_on_worker_lost, prefetch 1"
    ratio = median(other / mine for mine, other, _ in walls)
    yield Row("no-op tasks/s, ours / plain Celery", ratio, at_least=0.8, note=note)
    ratio = median(other / mine for mine, _, other in walls)
    note = f"{defaults:.0f}/s, early acknowledgement, prefetch 4: loses what a killed worker held"
    yield Row("no-op tasks/s, ours / plain Celery with its defaults", ratio, note=note)
    ratio = median(mine / other for mine, other, _ in cpus)
    yield Row("no-op tasks, CPU of the worker, ours / plain Celery", ratio)
