"""What a queue's card shows: its line, its flow, who works, and what one worker more would change."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from mediaapp.operations.jobs_now import RunningJob
from mediaapp.templatetags.formats import age_seconds, duration, task_name
from workers.models import Pause
from workers.queues import Queue, Worker, table
from workers.telemetry import liveness
from workers.telemetry.queue_flow import QueueRow

MIN_SECONDS_TO_EMPTY = 60  # a queue that is empty sooner needs no worker more


@dataclass(frozen=True)
class Slot:
    """A process of a worker's pool. task: "" if it is idle. job_id: None if the run has no job.

    is_silent: the worker gives no sign of life.
    """

    worker: str
    is_silent: bool
    task: str = ""
    job_id: UUID | None = None
    began_at: datetime | None = None
    percent: int | None = None

    @property
    def title(self) -> str:
        if self.is_silent:
            return f"{self.worker} is silent"
        if not self.began_at:
            return f"Idle, on {self.worker}"
        percent = "" if self.percent is None else f", {self.percent} %"
        return f"{task_name(self.task)}{percent}, for {duration(age_seconds(self.began_at))}, on {self.worker}"


@dataclass(frozen=True)
class OneMore:
    """A worker more. seconds_to_empty: None if the queue grows all the same.

    is_limited: its jobs write a table, and no more of them may write it at once.
    """

    worker: str
    seconds_to_empty: float | None
    is_limited: bool = False


@dataclass(frozen=True)
class QueueCard:
    """slots: None if the server of the locks does not answer. one_more: None if it is not needed, or unknown.

    silent: its workers that give no sign of life, although the broker may still count them as consumers.
    """

    row: QueueRow
    worker: str
    slots: Sequence[Slot] | None
    pause: Pause | None
    one_more: OneMore | None
    silent: Sequence[liveness.Worker] = ()

    @property
    def share_of_target(self) -> int:
        return min(100, round(100 * (self.row.oldest_seconds or 0) / self.row.queue.target_seconds))

    @property
    def is_full(self) -> bool:
        limit, ready = self.row.queue.max_messages, self.row.state["ready"]
        return isinstance(limit, int) and ready is not None and ready >= limit

    @property
    def seconds_to_empty(self) -> float | None:
        return self.row.flow.seconds_to_empty if self.row.flow else None


def queue_cards(
    rows: Sequence[QueueRow],
    slots: Mapping[str, Sequence[Slot]] | None,
    pauses: Mapping[str, Pause],
    heartbeats: Sequence[liveness.Worker] = (),
) -> list[QueueCard]:
    """slots: by the name of the worker in the table. pauses: by the name of the queue."""
    workers = {queue.name: worker for worker in table().workers for queue in worker.queues}
    cards = []
    for row in rows:
        worker, pause = workers[row.queue.name], pauses.get(row.queue.name)
        own = None if slots is None else slots.get(worker.name, ())
        running = len({slot.worker for slot in own or () if not slot.is_silent})
        more = None if pause else one_more(row, worker, running)
        silent = liveness.silent_consumers([*heartbeats], row.queue.name)
        cards.append(QueueCard(row, worker.name, own, pause, more, silent))
    return cards


def one_more(row: QueueRow, worker: Worker, running: int) -> OneMore | None:
    """As if each worker finished as many as those of the last minutes did. running: the workers that live."""
    flow, state = row.flow, row.state
    if flow is None or not flow.finishing or not running or row.waiting is None:
        return None
    messages, processes = row.waiting + (state["unacked"] or 0), running * worker.concurrency
    is_short = row.waiting <= processes or (flow.seconds_to_empty or MIN_SECONDS_TO_EMPTY) < MIN_SECONDS_TO_EMPTY
    if is_short and not row.is_late:
        return None
    finishing = flow.finishing * _usable(row.queue, processes + worker.concurrency) / _usable(row.queue, processes)
    surplus = finishing - flow.arriving
    is_limited = finishing == flow.finishing
    return OneMore(worker.name, messages / surplus * 60 if surplus > 0 else None, is_limited)


def _usable(queue: Queue, processes: int) -> int:
    return min(processes, queue.max_writers) if queue.serialize_by else processes


def slots_by_worker(
    workers: Sequence[liveness.Worker], runs: Sequence[Mapping[str, Any]], jobs: Sequence[RunningJob]
) -> dict[str, list[Slot]]:
    """By the worker's name in the table. runs: by their heartbeats, which a run of less than a second has not.

    jobs: those that run, empty if the database does not answer.
    """
    concurrency = {worker.name: worker.concurrency for worker in table().workers}
    known = {str(each.job.pk) for each in jobs}
    others = [run for run in runs if run["id"] not in known and run["silent_seconds"] < liveness.SILENT_SECONDS]
    slots: dict[str, list[Slot]] = defaultdict(list)
    silent = liveness.not_replaced([*workers])
    for worker in sorted(
        (each for each in workers if each in silent or not each.is_silent), key=lambda each: each.name
    ):
        busy = [_slot_of_job(worker, each) for each in jobs if each.job.worker == worker.name]
        busy += [_slot_of_run(worker, run) for run in others if run["worker"] == worker.name]
        idle = [Slot(worker.name, worker.is_silent)] * (concurrency.get(worker.kind, 1) - len(busy))
        slots[worker.kind] += busy + idle
    return slots


def _slot_of_job(worker: liveness.Worker, running: RunningJob) -> Slot:
    job = running.job
    return Slot(worker.name, worker.is_silent, job.task, job.pk, job.started_at, running.percent)


def _slot_of_run(worker: liveness.Worker, run: Mapping[str, Any]) -> Slot:
    began_at = datetime.fromtimestamp(run["ended_at"] - run["run_seconds"], UTC)  # ended_at: of the heartbeat
    job_id = UUID(run["job_id"]) if run.get("job_id") else None
    return Slot(worker.name, worker.is_silent, run["task"], job_id, began_at)
