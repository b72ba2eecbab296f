"""Tasks that do nothing, through our worker and through a plain one: what all of ours costs each task."""

from collections.abc import Iterator
from statistics import median

from bench.contest import contender
from bench.rows import Row

COUNT, ROUNDS = 500, 9
TASK = "bench.tasks.do_nothing"


def measure(*, quick: bool) -> Iterator[Row]:
    """Rounds in turn; the median of their ratios."""
    count, rounds = (50, 1) if quick else (COUNT, ROUNDS)
    with (
        contender("config", 4) as ours,
        contender("bench.plain:app", 5) as plain,
        contender("bench.plain:defaults", 6) as bare,
    ):
        for each in (ours, plain, bare):
            each.work_off(TASK, count // 10)  # to open its connections
        walls = [[each.work_off(TASK, count)[0] for each in (ours, plain, bare)] for _ in range(rounds)]
    ours_rate, plain_rate, bare_rate = (count / median(wall) for wall in zip(*walls, strict=True))
    note = f"{ours_rate:.0f}/s, plain {plain_rate:.0f}/s with the same acks_late, reject_on_worker_lost and prefetch"
    ratio = median(other / mine for mine, other, _ in walls)
    yield Row("no-op tasks/s, ours / plain Celery, same delivery", ratio, at_least=0.8, note=note)
    ratio = median(other / mine for mine, _, other in walls)
    yield Row("no-op tasks/s, ours / Celery's defaults", ratio, at_least=0.8, note=f"defaults {bare_rate:.0f}/s")
