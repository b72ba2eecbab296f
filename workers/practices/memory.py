"""Practice 9: RAM-hungry tasks have their own queue, on a bigger machine, so that the rest can stay small.

The trap: one import of 2 GB takes the machine of four mail tasks with it, and a process never gives a peak back, so
its size says nothing about the task that it runs now. Here each run is measured by itself, ffmpeg included, a worker's
process that grew is replaced after its task, and the figures say which machine a worker needs.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.core.checks import CheckMessage, Error
from django.db import DatabaseError, connection
from django.utils import timezone

from workers.capacity.formation import InvalidFormation, ProcessType, formation
from workers.capacity.prices import price_list
from workers.practices import Finding
from workers.queues import Worker, table

MB = 1024**2
# Bytes of each size of dyno that the price list knows, the cheapest first.
SIZES = {name: size.memory for name, size in sorted(price_list().sizes.items(), key=lambda item: item[1].price)}
CHAPTER = "See docs/9-memory.md."
MAIN_PROCESS = 100 * MB  # the worker's own, which runs no task: 83 MB measured
PEAKS = """
    SELECT task, percentile_disc(%(share)s) WITHIN GROUP (ORDER BY peak) FROM (
        SELECT task, peak_p95 AS peak FROM workers_taskhour WHERE hour >= %(since)s
        UNION ALL
        SELECT task, percentile_disc(0.95) WITHIN GROUP (ORDER BY peak_bytes) FROM workers_taskrun
        WHERE ended_at > now() - interval '1 hour' GROUP BY task
    ) AS hours WHERE peak IS NOT NULL GROUP BY task"""


@dataclass(frozen=True)
class Proposal:
    """What the last weeks say of a worker.

    share: bytes for each of its runs, on the dyno that it has. peaks: bytes by task, the p95 of four weeks.
    needs: bytes for as many of its largest task as it runs at once. size: the smallest dyno that holds them, None if
    none does. to_highmem: tasks that do not fit into their share of it. elsewhere: on the high-memory worker, but not
    for their memory.
    """

    worker: str
    share: int
    peaks: dict[str, int]
    needs: int
    size: str | None
    to_highmem: tuple[str, ...]
    elsewhere: tuple[str, ...]


def proposals() -> list[Proposal]:
    """One per worker, from the p95 of its tasks over four weeks. Raises DatabaseError."""
    usual = peaks(timedelta(weeks=4), share=0.95)
    small = _share_of(table().workers[0])
    found = []
    for worker in table().workers:
        tasks = {task: usual[task] for queue in worker.queues for task in queue.tasks if task in usual}
        needs = MAIN_PROCESS + worker.concurrency * max(tasks.values(), default=0)
        size = next((size for size, memory in SIZES.items() if memory >= needs), None)
        high = worker.name == "highmem"
        too_big = tuple(task for task, peak in tasks.items() if peak > _share_of(worker) and not high)
        small_enough = tuple(task for task, peak in tasks.items() if peak <= small and high)
        found.append(Proposal(worker.name, _share_of(worker), tasks, needs, size, too_big, small_enough))
    return found


def peaks(window: timedelta, *, share: float) -> dict[str, int]:
    """Bytes per task: of the p95s of its hours within `window`, the one that `share` of them do not exceed."""
    with connection.cursor() as cursor:
        cursor.execute(PEAKS, {"since": timezone.now() - window, "share": share})
        return dict(cursor.fetchall())


def limit_of_runs(worker: str) -> int:
    """Bytes that one run on a worker may hold, all its processes together, while the worker runs as many as it does."""
    return next(_share_of(each) for each in table().workers if each.name == worker)


def _share_of(worker: Worker) -> int:
    """Bytes for each run of a worker that is full, on the dyno that the formation gives it. Raises InvalidFormation."""
    found = formation().get(worker.name)
    return (SIZES.get(found.size if found else "", 0) - MAIN_PROCESS) // worker.concurrency


def check() -> list[CheckMessage]:
    """E901: a worker without a dyno of a known size. E902: one never recycled. E903: limits above its dyno.

    E904: nobody can read FORMATION.
    """
    try:
        types = formation()
    except InvalidFormation as error:
        hint = f'Write FORMATION as in "web=2:standard-1x,default=1", or unset it: app.json serves then. {CHAPTER}'
        return [Error(str(error), hint=hint, id="practices.E904")]
    return [message for worker in table().workers for message in _check(worker, types.get(worker.name))]


def _check(worker: Worker, found: ProcessType | None) -> list[CheckMessage]:
    name, limit = worker.name, found.recycled_at if found else None
    if found is None or found.size not in SIZES:
        hint = (
            f'Write "{name}": {{"size": ...}} with one of {", ".join(SIZES)} into the formation of app.json. {CHAPTER}'
        )
        return [Error(f"Nobody says which dyno the {name} worker runs on.", hint=hint, id="practices.E901")]
    share = _share_of(worker)
    if limit is None:
        hint = f"Write --max-memory-per-child (KiB, at most {share // 1024}) in its line of the Procfile. {CHAPTER}"
        return [Error(f"The {name} worker keeps a process that grew.", hint=hint, id="practices.E902")]
    if limit > share:
        hint = (
            f"At most --max-memory-per-child {share // 1024}, or a lower --concurrency, or a bigger dyno in app.json."
            f" {CHAPTER}"
        )
        message = f"{worker.concurrency} processes of {limit // MB} MB do not fit on the {name} worker's dyno."
        return [Error(message, hint=hint, id="practices.E903")]
    return []


def verify() -> Finding:
    """Holds while no task's p95, in its worst hour of the last day, is above its share of its worker's dyno."""
    try:
        worst = peaks(timedelta(days=1), share=1)
        shares = {
            task: _share_of(worker) for worker in table().workers for queue in worker.queues for task in queue.tasks
        }
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    except InvalidFormation as error:
        return Finding(None, "unknown", str(error))
    measured = {task: peak for task, peak in worst.items() if task in shares}
    if not measured:
        return Finding(None, "unknown", "No run of the last day was measured: only Linux tells, or nothing ran.")
    largest = max(measured, key=measured.__getitem__)
    figure = f"largest: {largest.rpartition('.')[2]} {measured[largest] // MB} MB of {shares[largest] // MB} MB"
    outgrown = [task for task, peak in measured.items() if peak > shares[task]]
    if outgrown:
        named = ", ".join(f"{task} ({measured[task] // MB} of {shares[task] // MB} MB)" for task in outgrown)
        return Finding(False, figure, f"Outgrown: {named}. Move it to highmem, or give its worker a bigger dyno.")
    return Finding(True, figure)
