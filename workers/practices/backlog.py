"""Practice 8: how many messages wait in each queue, for how long, and who consumes them.

The trap: ten videos are an hour and ten mails a second, and no broker tells the age of a message
(docs/facts/servers.md#age-of-a-message). The rows of jobs do. A recurring task has no row, and nobody notices a worker
that takes nothing while nobody waits. So each queue gets a canary, one small message at a time (telemetry/canaries.py).
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from celery import current_app
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError
from redis.exceptions import RedisError

from workers.brokers import BrokerUnavailableError, QueueState
from workers.brokers.state import read_queue_states, read_queue_states_or_unknown
from workers.practices import Finding
from workers.queues import table
from workers.telemetry import canaries, liveness, pauses
from workers.telemetry.queue_samples import store_samples, was_sampled
from workers.telemetry.waits import job_ages, jobs_without_message, late_faults

SAMPLE = "workers.practices.backlog.sample"
MAX_SAMPLE_AGE_SECONDS = 120


def oldest_waits() -> dict[str, float]:
    """Seconds that the oldest message of each queue has waited, without empty queues. Raises DatabaseError."""
    waits = job_ages()
    for queue, age in canaries.scheduled_ages().items():
        waits[queue] = max(waits.get(queue, 0.0), age)
    return waits


def answer_canary(queue: str) -> None:
    """The table's canary_task must call it."""
    canaries.answer(queue)


def sample() -> None:
    """Raises DatabaseError, RedisError."""
    store_samples(oldest_waits())
    canaries.send(read_queue_states_or_unknown())


def check() -> list[CheckMessage]:
    return [*_check_targets(), *_check_sampling()]


def _check_targets() -> Iterator[CheckMessage]:
    hint = "Give it target_seconds=<seconds of waiting that its users accept> in config/queues.py."
    for queue in table().queues.values():
        if queue.target_seconds <= 0:
            yield Error(f"The queue {queue.name} has no target.", hint=hint, id="practices.E801")


def _check_sampling() -> Iterator[CheckMessage]:
    if SAMPLE not in current_app.conf.leader_callbacks:
        where = f"Name {SAMPLE} among the leader_callbacks of config/celery.py."
        hint = f"{where} A recurring task would wait in a clogged queue itself."
        yield Error("Nobody samples the queues.", hint=hint, id="practices.E802")


def verify() -> Finding:
    """ok while no queue is late unless it is paused, each has a living worker, no run hangs, and samples are taken."""
    try:
        paused = pauses.paused_queues()
        is_sampled = was_sampled(timedelta(0), within=timedelta(seconds=MAX_SAMPLE_AGE_SECONDS))
        waits = {queue: seconds for queue, seconds in oldest_waits().items() if queue not in paused}
        in_rows = sum(jobs_without_message().values())
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    nobody = f"Nobody has sampled the queues in the last {MAX_SAMPLE_AGE_SECONDS} s. Is beat up?"
    unsampled = [] if is_sampled else [nobody]
    oldest = max(waits, key=lambda name: waits[name], default="")
    age = waits.get(oldest, 0.0)
    summary = f"the oldest waits {age:.0f} s, in {oldest}" if oldest else "nothing waits"
    summary = pauses.with_pauses(summary, paused.values())
    try:
        states = read_queue_states()  # first: a worker gives no sign of life while its broker is away
        faults = list(liveness.faults({name: pause.paused_at for name, pause in paused.items()}))
        unread = {name for name, state in states.items() if state["consumers"] == 0 and name not in paused}
        idle = _idle_ages(states)
        late = list(late_faults(waits, unread | liveness.queues_without_worker()))
    except (BrokerUnavailableError, DatabaseError, RedisError) as error:  # what is late is late because of it
        reason = " ".join([_tell(error), *unsampled])
        return Finding(False, summary, reason, age) if unsampled else Finding(None, summary, reason)
    ready = sum(state["ready"] or 0 for state in states.values())
    faults += [f"Nobody reads {name}: start a {table().consumers[name]} worker." for name in states if name in unread]
    faults += [
        f"The {table().consumers[name]} worker is at rest and has not answered the canary in {name} for"
        f" {seconds:.0f} s: it lives and takes nothing. Restart it."
        for name, seconds in idle.items()
    ]
    faults += [*unsampled, *late]
    summary = f"waiting: {ready} messages, {in_rows} jobs without one; {summary}"
    return Finding(not faults, summary, " ".join(faults), age)


def _idle_ages(states: Mapping[str, QueueState]) -> dict[str, float]:
    """Without queues of a silent worker: it has a sentence of its own, and may hold the canary itself."""
    idle = {queue: seconds for queue, seconds in canaries.idle_ages().items() if states[queue]["consumers"]}
    workers = liveness.read_workers() if idle else []
    return {queue: seconds for queue, seconds in idle.items() if not liveness.silent_consumers(workers, queue)}


def _tell(error: Exception) -> str:
    if isinstance(error, BrokerUnavailableError):
        return str(error)
    if isinstance(error, DatabaseError):
        return f"The database did not answer: {error}"
    return f"The server of the locks did not answer: {error}"
