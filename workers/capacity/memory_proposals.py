"""Which dyno each worker needs, and which tasks belong on another worker."""

from dataclasses import dataclass
from datetime import timedelta

from workers.capacity.run_memory import DYNO_BYTES, MAIN_PROCESS_BYTES, bytes_per_run, peak_bytes_by_task
from workers.queues import table

WINDOW = timedelta(weeks=4)
SHARE = 0.95  # of the hours


@dataclass(frozen=True)
class MemoryProposal:
    """peaks: bytes by task. size: the cheapest dyno that holds needed_bytes; None if none does.

    too_large: tasks that belong on hungry_worker. small_enough: tasks that fit on small_worker.
    """

    worker: str
    bytes_per_run: int
    peaks: dict[str, int]
    needed_bytes: int
    size: str | None
    too_large: tuple[str, ...]
    hungry_worker: str
    small_enough: tuple[str, ...]
    small_worker: str


def memory_proposals() -> list[MemoryProposal]:
    """Raises InvalidFormation."""
    usual = peak_bytes_by_task(WINDOW, share=SHARE)
    hungry = next((worker.name for worker in table().workers if worker.is_hungry), "")
    small = min((worker for worker in table().workers if not worker.is_hungry), key=bytes_per_run, default=None)
    proposals = []
    for worker in table().workers:
        available = bytes_per_run(worker)
        peaks = {task: usual[task] for queue in worker.queues for task in queue.tasks if task in usual}
        needed = MAIN_PROCESS_BYTES + worker.concurrency * max(peaks.values(), default=0)
        too_large, small_enough = [], []
        if not worker.is_hungry:
            too_large = [task for task, peak in peaks.items() if peak > available]
        elif small:
            small_enough = [task for task, peak in peaks.items() if peak <= bytes_per_run(small)]
        proposals.append(
            MemoryProposal(
                worker=worker.name,
                bytes_per_run=available,
                peaks=peaks,
                needed_bytes=needed,
                size=next((size for size, dyno_bytes in DYNO_BYTES.items() if dyno_bytes >= needed), None),
                too_large=tuple(too_large),
                hungry_worker=hungry,
                small_enough=tuple(small_enough),
                small_worker=small.name if small else "",
            )
        )
    return proposals
