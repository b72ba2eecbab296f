"""What one dyno more or less of a worker would change: the waits of its busiest hour, and the bill.

A worker's queues count as one. Serialized jobs (practice 4) wait as if only their table's writers served them.
"""

from dataclasses import dataclass

from workers.capacity.formation import ProcessType, formation
from workers.capacity.history import LoadSample, busiest_hour, hour_of
from workers.capacity.prices import price_list
from workers.capacity.queueing import Wait, expected_wait
from workers.queues import Worker, table


@dataclass(frozen=True)
class Scenario:
    """cost: a month more than now; None without a price. wait: None without processes.

    serialized_wait: only where it is longer.
    """

    dynos: int
    processes: int
    cost: float | None
    wait: Wait | None
    serialized_wait: Wait | None = None


@dataclass(frozen=True)
class Outlook:
    """hour: the busiest one; None with too few runs."""

    worker: Worker
    dynos: int
    hour: LoadSample | None
    scenarios: tuple[Scenario, ...]


def outlooks() -> list[Outlook]:
    """Raises InvalidFormation, and what price_list() does."""
    types = formation()
    return [outlook(worker, types[worker.name]) for worker in table().workers if worker.name in types]


def outlook(worker: Worker, now: ProcessType) -> Outlook:
    hour = busiest_hour(worker.queues)
    if hour is None:
        return Outlook(worker, now.quantity, None, ())
    size = price_list().sizes.get(now.size)
    serialized = [queue for queue in worker.queues if queue.serialize_by]
    serialized_hour = hour_of(serialized, hour.since) if serialized else None
    writers = sum(queue.max_writers for queue in serialized)
    scenarios = []
    for dynos in range(max(0, now.quantity - 1), now.quantity + 2):
        processes = dynos * worker.concurrency
        wait = expected_wait(hour.load, processes) if processes else None
        cost = (dynos - now.quantity) * size.price if size else None
        limited = _serialized_wait(serialized_hour, wait, processes, writers)
        scenarios.append(Scenario(dynos, processes, cost, wait, limited))
    return Outlook(worker, now.quantity, hour, tuple(scenarios))


def _serialized_wait(hour: LoadSample | None, wait: Wait | None, processes: int, writers: int) -> Wait | None:
    if hour is None or wait is None or processes <= writers:
        return None
    limited = expected_wait(hour.load, writers)
    return limited if limited.mean_seconds > wait.mean_seconds else None
