"""Practice 8: how many messages wait in each queue, for how long, and who reads them.

The trap: a queue's length says little. Ten videos are an hour and ten mails a second; a stopped worker's queue looks
like a busy one; and neither broker tells the age of a message (docs/facts/servers.md#age-of-a-message). So the age
comes from the rows of the jobs, the same on every broker. Recurring tasks have no row: their queue gets a canary, one
small message at a time, whose absence has an age. The leading beat samples all this, which waits in no queue itself.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from celery import current_app
from django.apps import apps
from django.core.cache import cache
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError
from django.db.models import Case, Count, Min, Q, When
from django.db.models.functions import Greatest
from django.utils import timezone
from kombu.exceptions import OperationalError

from workers.brokers import UNKNOWN, BrokerUnavailableError, QueueState
from workers.brokers.state import read_queue_states
from workers.practices import Finding
from workers.queues import Queue, table

SAMPLE = "workers.practices.backlog.sample"
CANARY_KEY = "canary_{}"
CANARY_LIFE = 600  # seconds, after which it is given up and the next one sent
EVERY = 30  # seconds between two samples
STALE = 4 * EVERY
KEEP = timedelta(days=30)
WINDOW = timedelta(minutes=15)  # over which a flow is measured
CHAPTER = "See docs/8-backlog.md."


@dataclass(frozen=True)
class Flow:
    """Messages per minute that came and went lately; seconds until the queue is empty, None unless it shrinks."""

    arriving: float
    finishing: float
    seconds_to_empty: float | None


@dataclass(frozen=True)
class QueueNow:
    """A queue of the table. oldest: seconds for which its oldest has waited, None if nothing waits."""

    queue: Queue
    state: QueueState
    oldest: float | None
    flow: Flow | None

    @property
    def late(self) -> bool:
        """Whether it has waited for longer than its users accept."""
        return (self.oldest or 0) > self.queue.target_seconds


def _known() -> dict[str, QueueState]:
    """The same, with UNKNOWN for every queue where the broker does not answer."""
    try:
        return read_queue_states()
    except BrokerUnavailableError:
        return dict.fromkeys(table().queues, UNKNOWN)


def ages() -> dict[str, float]:
    """Seconds for which the oldest has waited, by queue; none for an empty one. Raises DatabaseError.

    A job that was handed back waits since it was sent again, and not at all before its time has come.
    """
    now = timezone.now()
    since = Case(
        When(started_at=None, then="queued_at"),
        default=Greatest("queued_at", "started_at", "not_before", "dispatched_at"),
    )
    due = apps.get_model("workers.Job").objects.filter(Q(not_before=None) | Q(not_before__lte=now), state="queued")
    oldest = due.values_list("queue").annotate(since=Min(since))
    waits = {queue: (now - moment).total_seconds() for queue, moment in oldest}
    for queue in _fed_by_beat():
        if sent_at := cache.get(CANARY_KEY.format(queue)):
            waits[queue] = max(waits.get(queue, 0.0), time.time() - sent_at)
    return waits


def _fed_by_beat() -> list[str]:
    return sorted({table().queue_of(entry["task"]) for entry in current_app.conf.beat_schedule.values()})


def send_canaries() -> None:
    """Sends one into each queue that beat feeds and that has answered the last. Without the cache there is none."""
    for queue in _fed_by_beat():
        key = CANARY_KEY.format(queue)
        if cache.add(key, time.time(), CANARY_LIFE):
            try:
                current_app.send_task(table().canary_task, args=[queue], queue=queue, expires=CANARY_LIFE, retry=False)
            except (OperationalError, OSError):
                cache.delete(key)


def answer_canary(queue: str) -> None:
    """A canary has come through its queue."""
    cache.delete(CANARY_KEY.format(queue))


def sample() -> None:
    """Writes how every queue stands. What the broker does not say is null. Raises DatabaseError."""
    sampled, now, waits = apps.get_model("workers.QueueSample"), timezone.now(), ages()
    sampled.objects.bulk_create(
        sampled(
            queue=name,
            taken_at=now,
            waiting=queue["ready"],
            unacked=queue["unacked"],
            consumers=queue["consumers"],
            oldest_seconds=waits.get(name),
        )
        for name, queue in _known().items()
    )
    send_canaries()


def flows(found: dict[str, QueueState]) -> dict[str, Flow]:
    """How the queues moved since the oldest sample of the last WINDOW; none for a queue without. Raises DatabaseError.

    found: how they stand now. What went is the jobs that ended, or the runs of the queues that beat feeds, which have
    no rows; what came is that and what the queue has grown by.
    """
    now = timezone.now()
    lately = apps.get_model("workers.QueueSample").objects.filter(taken_at__gte=now - WINDOW, waiting__isnull=False)
    first = {each.queue: each for each in lately.order_by("queue", "taken_at").distinct("queue")}
    went = _ended_since(min((each.taken_at for each in first.values()), default=now))
    flow = {}
    for queue, then in first.items():
        if found[queue]["ready"] is None:
            continue
        minutes = max((now - then.taken_at).total_seconds(), 1) / 60
        held = (found[queue]["ready"] or 0) + (found[queue]["unacked"] or 0)
        grown = (held - (then.waiting or 0) - (then.unacked or 0)) / minutes
        finishing = went.get(queue, 0) / minutes
        flow[queue] = Flow(max(0.0, finishing + grown), finishing, held / -grown * 60 if grown < 0 else None)
    return flow


def _ended_since(moment: datetime) -> dict[str, int]:
    jobs = apps.get_model("workers.Job").objects.filter(finished_at__gte=moment)
    runs = apps.get_model("workers.TaskRun").objects.filter(ended_at__gte=moment, queue__in=_fed_by_beat())
    return {queue: count for ended in (jobs, runs) for queue, count in ended.values_list("queue").annotate(Count("pk"))}


def overview() -> list[QueueNow]:
    """Every queue of the table, as it stands and moves. What the broker does not say is None. Raises DatabaseError."""
    found, waits = _known(), ages()
    moving = flows(found)
    return [QueueNow(queue, found[name], waits.get(name), moving.get(name)) for name, queue in table().queues.items()]


def check() -> list[CheckMessage]:
    """E801: a queue without a target. E802: nobody samples the queues."""
    unsampled: list[CheckMessage] = []
    if SAMPLE not in current_app.conf.leader_callbacks:
        unsampled.append(
            Error(
                "Nobody samples the queues.",
                hint=f"Name {SAMPLE} among the leader_callbacks of config/celery.py. A recurring task would"
                f" wait in a clogged queue itself. {CHAPTER}",
                id="practices.E802",
            )
        )
    return unsampled + [
        Error(
            f"The queue {queue.name} has no target.",
            hint=f"Give it target_seconds=<seconds of waiting that its users accept> in config/queues.py. {CHAPTER}",
            id="practices.E801",
        )
        for queue in table().queues.values()
        if queue.target_seconds <= 0
    ]


def verify() -> Finding:
    """Holds while every queue is read, nothing has waited longer than its queue's target, and samples are taken."""
    try:
        waits = ages()
        taken = apps.get_model("workers.QueueSample").objects.filter(queue="default").order_by("-taken_at").first()
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    faults = [
        f"The oldest in {name} has waited {waits[name]:.0f} s of {queue.target_seconds} s."
        for name, queue in table().queues.items()
        if waits.get(name, 0) > queue.target_seconds
    ]
    if taken is None or (timezone.now() - taken.taken_at).total_seconds() > STALE:
        faults.append(f"Nobody has sampled the queues for {STALE} s. Is beat up?")
    oldest = max(waits, key=lambda name: waits[name], default="")
    figure = f"the oldest waits {waits[oldest]:.0f} s, in {oldest}" if oldest else "nothing waits"
    try:
        found = read_queue_states()
    except BrokerUnavailableError as error:
        return Finding(False if faults else None, figure, " ".join([*faults, str(error)]))
    total = sum(queue["ready"] or 0 for queue in found.values())
    faults += [f"Nobody reads {name}." for name, queue in found.items() if queue["consumers"] == 0]
    return Finding(not faults, f"{total} messages wait, {figure}", " ".join(faults))
