"""Practice 4: more at once is not always faster. An owner's imports go one at a time, and a table has few writers.

The trap: eight CSV imports into one table in eight processes wait for each other's rows and locks, and end later than
one after the other. A job that finds enough writers at work gives its worker slot back.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError
from django.utils import timezone

from workers.capacity.process_files import FILES, read_workers
from workers.capacity.throughput import measure_throughput
from workers.models import Job
from workers.practices import Finding, locks
from workers.queues import load_tasks, table
from workers.task_source import held_contexts

PAUSE_SECONDS = 5  # after which a job that found enough writers at work tries again, if no writer's end wakes it
CLAIM_GRACE = timedelta(seconds=2)  # for which such a job may still say "running"


@contextmanager
def one_writer(label: str, owner_id: int | None, max_writers: int) -> Iterator[list[locks.Lease]]:
    """Locks an owner's rows of a model's table, by its label, and one of the table's places for writers.

    Raises locks.Busy if they are taken, RedisError if the server is away.
    """
    with ExitStack() as held:
        rows = held.enter_context(locks.exclusive(f"import:{label}:{owner_id}", lease=settings.JOB_LEASE))
        yield [rows, _take_place(held, label, max_writers)]


def _take_place(held: ExitStack, label: str, max_writers: int) -> locks.Lease:
    for place in range(1, max_writers + 1):
        with suppress(locks.Busy):
            return held.enter_context(locks.exclusive(f"writer:{label}:{place}", lease=settings.JOB_LEASE))
    raise locks.Busy(f"{label} has {max_writers} writers")


def check() -> list[CheckMessage]:
    return [*_check_files(), *_check_turns()]


def _check_files() -> Iterator[CheckMessage]:
    for file in FILES:
        found = {command.worker: command.concurrency for command in read_workers(file) or []}
        for worker in (each for each in table().workers if found.get(each.name, each.concurrency) != each.concurrency):
            fault = f"{file}: the {worker.name} worker runs {found[worker.name] or 'any number of'} tasks at once."
            hint = f"Write --concurrency {worker.concurrency}, or measure, and change config/queues.py."
            yield Error(fault, hint=hint, id="practices.E401")


def _check_turns() -> Iterator[CheckMessage]:
    for name, task in sorted(load_tasks().items()):
        queue = table().queues[table().queue_of(name)] if name in table().routes else None
        writes = "writing_to" in held_contexts(task.run)
        if queue and queue.serialize_by and not writes:
            fault = f"{name} takes no turn, and its queue says serialize_by={queue.serialize_by!r}."
            hint = f'Write `job.writing_to(job.arguments["{queue.serialize_by}"])` into its with.'
            yield Error(fault, hint=hint, id="practices.E402")
        elif queue and writes and not queue.serialize_by:
            fault = f"{name} takes turns, and its queue {queue.name} starts several of an owner at once."
            hint = f"Move it to a queue with serialize_by, or set that of {queue.name} in config/queues.py."
            yield Error(fault, hint=hint, id="practices.E403")


def verify() -> Finding:
    """ok while no owner has two jobs at work on one table, and no table has more writers than measured."""
    serialized = {queue.name: queue for queue in table().queues.values() if queue.serialize_by}
    if not serialized:
        return Finding(True, "no queue is serialized")
    running = Job.objects.filter(queue__in=serialized, state=Job.State.RUNNING)
    try:
        working = running.filter(started_at__lt=timezone.now() - CLAIM_GRACE).only("queue", "owner", "arguments")
        writers = Counter((job.queue, _written_by(job), job.owner_id) for job in working)
        last = measure_throughput(serialized)
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    counts: Counter[tuple[str, str]] = Counter()
    for (queue, name, _), count in writers.items():
        counts[queue, name] += count
    at_work = ", ".join(f"{count} on {name}" for (_, name), count in sorted(counts.items())) or "none"
    speed = "none has ended yet"
    if last:
        speed = (
            f"the last {last.jobs} wrote {last.rows_per_second:,.0f} rows/s, {last.jobs_beside:.1f} jobs beside them"
        )
    crowded = {name for (_, name, _), count in writers.items() if count > 1}
    crowded |= {name for (queue, name), count in counts.items() if count > serialized[queue].max_writers}
    reason = (
        f"Too many jobs are at work on {', '.join(sorted(crowded))}, and slow each other down. Cancel one: it keeps its"
        " checkpoint. Was the server of the locks flushed, or does a task not call writing_to()?"
    )
    summary = f"{', '.join(serialized)} at work: {at_work}; {speed}"
    return Finding(not crowded, summary, reason if crowded else "", max(counts.values(), default=0))


def _written_by(job: Job) -> str:
    """The label of the table that a serialized job writes."""
    return str(job.arguments.get(table().queues[job.queue].serialize_by))
