"""A task of one second with timing, lock and progress, against the same second in a plain Celery worker."""

from collections.abc import Iterator
from statistics import median

from bench.contest import contender
from bench.rows import Row

COUNT, ROUNDS = 20, 5  # four at once


def measure(*, quick: bool) -> Iterator[Row]:
    """Rounds in turn; the medians of what ours takes more, as a share of the task's second."""
    count, rounds = (4, 1) if quick else (COUNT, ROUNDS)
    longer, more = [], []
    with contender("config", 4) as ours, contender("bench.plain:app", 5) as plain:
        for _ in range(rounds):
            wall, cpu = ours.work_off("bench.guarded.take_a_second", count)
            plain_wall, plain_cpu = plain.work_off("bench.tasks.take_a_second", count)
            longer.append(100 * (wall / plain_wall - 1))
            more.append(100 * (cpu - plain_cpu) / count)
    yield Row("timing + lock + progress on a task of 1 s, wall time", median(longer), "%", at_most=3)
    yield Row("timing + lock + progress on a task of 1 s, CPU", median(more), "%", at_most=3)
