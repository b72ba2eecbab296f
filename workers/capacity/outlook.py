"""What one dyno more or less of a worker would do to the waits of its busiest hour, and to the bill.

A worker's queues share its processes, so they are one line here: whoever comes first goes first. That is what RabbitMQ
and Redis do with several queues of one reader, roughly; none has precedence. An import also waits for its table
(practice 4), which no dyno changes: its own line is as if there were one process for all imports.
"""

from dataclasses import dataclass

from workers.capacity.formation import ProcessType, formation
from workers.capacity.history import Span, busiest_hour, hour_of
from workers.capacity.prices import price_list
from workers.capacity.queueing import Wait, wait_for
from workers.queues import Worker, table

SERIAL = table().queues["imports"]  # one at a time into a table, and all of ours go into one


@dataclass(frozen=True)
class Case:
    """So many dynos. cost: a month more than now, None without a price. wait: None if nobody reads the queues.

    imports: how those wait who also need their table, where that is longer.
    """

    dynos: int
    processes: int
    cost: float | None
    wait: Wait | None
    imports: Wait | None = None


@dataclass(frozen=True)
class Outlook:
    """A worker: one dyno fewer, as many as now, one more. hour: its busiest, None if too little ever came."""

    worker: Worker
    dynos: int
    hour: Span | None
    cases: tuple[Case, ...]


def outlooks() -> list[Outlook]:
    """One per worker. Raises DatabaseError, InvalidFormation, and what price_list() does."""
    types = formation()
    return [outlook(worker, types[worker.name]) for worker in table().workers if worker.name in types]


def outlook(worker: Worker, now: ProcessType) -> Outlook:
    """One worker's, which runs as `now`. Raises as outlooks() does."""
    hour = busiest_hour(worker.queues)
    if hour is None:
        return Outlook(worker, now.quantity, None, ())
    size = price_list().sizes.get(now.size)
    imports = hour_of([SERIAL], hour.since) if SERIAL in worker.queues else None
    cases = []
    for dynos in range(max(0, now.quantity - 1), now.quantity + 2):
        processes = dynos * worker.concurrency
        wait = wait_for(hour.load, processes) if processes else None
        cost = (dynos - now.quantity) * size.price if size else None
        cases.append(Case(dynos, processes, cost, wait, _behind_their_table(imports, wait, processes)))
    return Outlook(worker, now.quantity, hour, tuple(cases))


def _behind_their_table(imports: Span | None, wait: Wait | None, processes: int) -> Wait | None:
    """How imports wait, where several processes would do more than one at a time."""
    if imports is None or wait is None or processes == 1:
        return None
    alone = wait_for(imports.load, 1)
    return alone if alone.mean > wait.mean else None
