"""What our code adds to a task: to one that does nothing, and to one of a second with timing, lock and progress.

One worker of the Procfile (pool, concurrency, options) runs our app, and two run plain apps without Django, in turns.
The tasks sleep instead of computing, so only overhead shows.
"""

from collections.abc import Iterator
from statistics import median

from bench.contenders import Contender, contender
from bench.rows import Row

WARM_UP = 20  # tasks, so that each process of the pool has opened its connections
NO_OP, SECOND, GUARDED = "bench.tasks.do_nothing", "bench.tasks.sleep_one_second", "bench.guarded.sleep_one_second"


def measure(*, quick: bool) -> Iterator[Row]:
    """The medians of rounds in turns."""
    with (
        contender("config", 4) as ours,
        contender("bench.plain:app", 5) as plain,
        contender("bench.plain:defaults", 6) as defaults,
    ):
        for each in (ours, plain, defaults):
            each.run_tasks(NO_OP, WARM_UP)
        yield from measure_second(ours, plain, *((4, 1) if quick else (20, 5)))
        yield from measure_no_op((ours, plain, defaults), *((20, 1) if quick else (500, 9)))


def measure_second(ours: Contender, plain: Contender, count: int, rounds: int) -> Iterator[Row]:
    """What ours takes more, as a share of the task's second. Four run at once."""
    wall_percents, cpu_percents = [], []
    for _ in range(rounds):
        wall, cpu = ours.run_tasks(GUARDED, count)
        plain_wall, plain_cpu = plain.run_tasks(SECOND, count)
        wall_percents.append(100 * (wall / plain_wall - 1))
        cpu_percents.append(100 * (cpu - plain_cpu) / count)
    yield Row("timing + lock + progress on a task of 1 s, wall time", median(wall_percents), "%", at_most=3)
    yield Row("timing + lock + progress on a task of 1 s, CPU", median(cpu_percents), "%", at_most=3)


def measure_no_op(contenders: tuple[Contender, Contender, Contender], count: int, rounds: int) -> Iterator[Row]:
    """Tasks per second, against a plain app with our delivery options and one with Celery's."""
    turns = [[each.run_tasks(NO_OP, count) for each in contenders] for _ in range(rounds)]
    walls, cpus = ([[each[which] for each in turn] for turn in turns] for which in (0, 1))
    ours, plain, defaults = (count / median(wall) for wall in zip(*walls, strict=True))
    note = f"{ours:.0f}/s, plain {plain:.0f}/s with our acks_late, reject_on_worker_lost, prefetch 1"
    ratio = median(other / own for own, other, _ in walls)
    yield Row("no-op tasks/s, ours / plain Celery", ratio, at_least=0.8, note=note)
    ratio = median(other / own for own, _, other in walls)
    note = f"{defaults:.0f}/s, early acknowledgement, prefetch 4: loses what a killed worker held"
    yield Row("no-op tasks/s, ours / plain Celery with its defaults", ratio, note=note)
    ratio = median(own / other for own, other, _ in cpus)
    yield Row("no-op tasks, CPU of the worker, ours / plain Celery", ratio)
