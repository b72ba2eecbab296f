"""Practice 9: RAM-hungry tasks have their own queue, on a bigger machine, so that the rest can stay small.

The trap: one import of 2 GB takes the machine of four mail tasks with it, and its process keeps the peak. So each run
is measured against what its dyno can hold.
"""

from collections.abc import Iterator
from datetime import timedelta

from django.core.checks import CheckMessage, Error
from django.db import DatabaseError

from workers.capacity.formation import InvalidFormation, ProcessType, formation, initial_formation
from workers.capacity.process_files import read_memory_limits
from workers.capacity.run_memory import DYNO_BYTES, MB, bytes_per_run, peak_bytes_by_task
from workers.practices import Finding
from workers.queues import Worker, table


def max_bytes_per_run(worker_name: str) -> int:
    """What a run and its children may hold while all processes of the worker are busy. Raises InvalidFormation."""
    return next(bytes_per_run(worker) for worker in table().workers if worker.name == worker_name)


def check() -> list[CheckMessage]:
    try:
        types = formation()
    except InvalidFormation as error:
        hint = 'Write FORMATION as in "web=2:standard-1x,default=1", or unset it: app.json serves then.'
        return [Error(str(error), hint=hint, id="practices.E904")]
    return [
        *(message for worker in table().workers for message in _check_worker(worker, types.get(worker.name))),
        *_check_compose(),
    ]


def _check_worker(worker: Worker, process_type: ProcessType | None) -> Iterator[CheckMessage]:
    if process_type is None or process_type.size not in DYNO_BYTES:
        yield Error(
            f"Nobody says which dyno the {worker.name} worker runs on.",
            hint=f'Write "{worker.name}": {{"size": ...}} with one of {", ".join(DYNO_BYTES)} into the formation of'
            " app.json.",
            id="practices.E901",
        )
        return
    limit, available = process_type.recycled_at, bytes_per_run(worker)
    if limit is None:
        hint = f"Write --max-memory-per-child (KiB, at most {available // 1024}) in its line of the Procfile."
        yield Error(f"The {worker.name} worker keeps a process that grew.", hint=hint, id="practices.E902")
    elif limit > available:
        yield Error(
            f"{worker.concurrency} processes of {limit // MB} MB do not fit on the {worker.name} worker's dyno.",
            hint=f"At most --max-memory-per-child {available // 1024}, or a lower --concurrency, or a bigger dyno in"
            " app.json.",
            id="practices.E903",
        )


def _check_compose() -> Iterator[CheckMessage]:
    """Against app.json, not FORMATION: that one is of an app on a platform."""
    sizes = {name: process_type.size for name, process_type in initial_formation().items()}
    limits = read_memory_limits([worker.name for worker in table().workers]) or {}
    for name, limit in limits.items():
        needed = DYNO_BYTES.get(sizes.get(name, ""), 0)
        if limit is None or limit < needed:
            fault = f"docker-compose.yml: {name} has {f'{limit // MB} MB' if limit else 'no mem_limit'}, and its dyno"
            hint = f"Write mem_limit: {needed // MB}m, by which its runs are planned, or change app.json."
            yield Error(f"{fault} {needed // MB} MB.", hint=hint, id="practices.E905")


def verify() -> Finding:
    """ok while no task's p95, in its worst hour of the last day, is above the limit of a run on its worker."""
    try:
        peaks = peak_bytes_by_task(timedelta(days=1), share=1)
        limits = {
            task: bytes_per_run(worker) for worker in table().workers for queue in worker.queues for task in queue.tasks
        }
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    except InvalidFormation as error:
        return Finding(None, "unknown", str(error))
    measured = {task: peak for task, peak in peaks.items() if task in limits}
    if not measured:
        return Finding(None, "unknown", "No run of the last day was measured: only Linux tells, or nothing ran.")
    largest = max(measured, key=measured.__getitem__)
    summary = f"largest in a day: {largest.rpartition('.')[2]} {measured[largest] // MB} of {limits[largest] // MB} MB"
    shares = [100 * peak / limits[task] for task, peak in measured.items() if limits[task] > 0]
    figure = max(shares, default=None)
    outgrown = ", ".join(
        f"{task} ({peak // MB} of {limits[task] // MB} MB)" for task, peak in measured.items() if peak > limits[task]
    )
    if outgrown:
        reason = f"Outgrown in the last day: {outgrown}. Move it to a hungry queue, or give its worker a bigger dyno."
        return Finding(False, summary, reason, figure)
    return Finding(True, summary, figure=figure)
