"""What happens to a publish when no worker consumes a queue? `python -m labs [--rabbitmq] 1 [KB a message]` (30 s).

Wrong: a new project's tasks carry their data. They fill a queue without consumer and limit until the broker is full.
Right: the site publishes ids to a queue with a limit. RabbitMQ refuses a message beyond it; on Valkey the publisher
counts first. Printed for each: the messages sent, the time and error of the next publish, and the messages lost.
It teaches that a full broker is full for every queue, that its error comes late or never, and that only a database row
keeps a message that the broker refuses.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from threading import Event, Thread
from typing import Any
from uuid import uuid4

from celery import Celery
from django.conf import settings
from django.utils import timezone
from kombu import Connection, Queue
from redis import from_url
from redis.exceptions import OutOfMemoryError

from devtools.rabbitmq import CTL
from workers import jobs
from workers.brokers import state
from workers.brokers.connection import connect, is_amqp
from workers.brokers.state import read_broker_state
from workers.models import Job
from workers.practices import broker
from workers.queues import table
from workers.runtime import publishing

VIDEO, MAIL = "workers.video.tasks.transcode_video", "workers.default.tasks.send_password_reset"
HANGING_SECONDS = 5  # after which a publish counts as hanging
MAX_SECONDS = 60  # of publishes that all succeed
MEMORY = {"valkey": 2 << 20, "rabbitmq": 20 << 20}  # bytes beside what it needs when empty
UNCONFIRMED = 20  # messages, few enough for the buffers of a socket
LIMIT = 100  # messages in `video`, instead of the table's 10,000


class Publisher(Thread):
    """Publishes until a publish fails or hangs, or `is_full`. published: how many succeeded, by their return."""

    def __init__(self, publish: Callable[[], object], is_full: Callable[[], object] = bool) -> None:
        super().__init__(daemon=True)
        self.publish, self.is_full, self.outcome = publish, is_full, "hangs"
        self.published, self.last_success, self.stopped = 0, time.monotonic(), Event()

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                self.publish()
                self.published, self.last_success = self.published + 1, time.monotonic()
        except Exception as error:  # kombu's OperationalError mostly, its AttributeError after a retry on Valkey
            self.outcome = f"raises {type(error).__name__}"

    def wait(self) -> float:
        """Start it. Returns the seconds of the publish that did not succeed."""
        began = time.monotonic()
        self.start()
        while self.is_alive() and time.monotonic() - self.last_success < HANGING_SECONDS:
            if time.monotonic() - began > MAX_SECONDS:
                raise SystemExit(f"{self.published} messages, and it takes more.")
            self.join(0.05)
            if self.is_full():
                break
        self.stopped.set()
        return time.monotonic() - self.last_success


def new_project(**options: Any) -> Celery:
    """An app as a tutorial makes it, with options of its broker."""
    app = Celery("new", broker=settings.BROKER_URL, set_as_current=False)
    app.conf.broker_transport_options = options
    app.conf.task_default_queue_type = "quorum"  # RabbitMQ 4 writes a classic queue to its disk before it is full
    return app


def run_wrong(kilobytes: int) -> dict[str, Any]:
    """Without a limit, and without confirms, as Celery does by default; then with confirms."""
    app, data = new_project(), "x" * 1024 * kilobytes
    publisher = Publisher(lambda: app.send_task("work", args=[data]), alarms)
    seconds, said = publisher.wait(), publisher.outcome
    if not is_amqp():
        show("wrong: no limit", publisher.published, seconds, f"{said}, for every queue")
        return {
            "messages": publisher.published,
            "seconds": round(seconds, 3),
            "says": said,
            "lost": consume_when_full(),
        }
    messages = publisher.published
    show("wrong: no limit", messages, 0, "RabbitMQ raises its alarm, for every queue")
    keep_full()
    before = length("celery")
    for _ in range(UNCONFIRMED):
        app.send_task("work")
    lost = before + UNCONFIRMED - length("celery")
    show("wrong: no confirm", UNCONFIRMED, 0, f"every one is said to be sent, {lost} do not arrive")
    careful = new_project(confirm_publish=True)
    one = Publisher(lambda: careful.send_task("work"))
    show("wrong: no time limit", one.published, seconds := one.wait(), f"{one.outcome}, for every queue")
    return {"messages": messages, "seconds": round(seconds, 3), "says": one.outcome, "lost": lost}


def keep_full() -> None:
    """Keeps RabbitMQ's alarm up. RabbitMQ 4 writes messages to its disk, so its alarm passes until the disk is full."""
    limit_rabbitmq("absolute", "1MB")
    while not alarms():
        time.sleep(0.1)


def alarms() -> list[str]:
    return read_broker_state()["alarms"]


def length(queue: str) -> int:
    """Once it grows no more."""
    lengths = [-1]
    while len(lengths) < 3 or len(set(lengths[-3:])) > 1:
        time.sleep(0.5)
        with connect() as connection:
            lengths.append(connection.default_channel.queue_declare(queue, passive=True).message_count)
    return lengths[-1]


def consume_when_full() -> int:
    """What a worker does to a full Valkey: it takes a message off the list and finds no room to note that it did."""
    valkey = from_url(settings.BROKER_URL)
    before, read, began = valkey.llen("celery"), [], time.monotonic()
    with Connection(settings.BROKER_URL) as connection, suppress(OutOfMemoryError):
        reader = connection.Consumer(Queue("celery"), callbacks=[lambda _, message: read.append(message)])
        with reader:
            connection.drain_events(timeout=1)
    lost = int(before - valkey.llen("celery") - valkey.hlen("unacked"))
    show(
        "either: a worker reads", len(read), time.monotonic() - began, f"it ends with an error, {lost} message is gone"
    )
    return lost


def run_right() -> dict[str, Any]:
    """The site's publish, with its limit, its confirm, its time limits and its row."""
    table().queues["video"] = replace(table().queues["video"], max_messages=LIMIT)
    broker.prepare_queues()
    began = time.monotonic()
    publishing.publish(VIDEO, str(uuid4()), "video")
    while "no consumer" not in (why := broker.verify().reason):
        time.sleep(0.1)
    show("right: the doctor", 1, noticed := time.monotonic() - began, why)
    publisher = Publisher(lambda: publishing.publish(VIDEO, str(uuid4()), "video"))
    seconds = publisher.wait()
    kept, mail_kept = (is_kept_undispatched(task) for task in (VIDEO, MAIL))
    elsewhere = "an urgent one stays in its too" if mail_kept else "urgent goes on"
    show(
        "right: limit and row",
        publisher.published + 1,
        seconds,
        f"{publisher.outcome}, the job stays in its row, {elsewhere}",
    )
    found = {
        "messages": publisher.published + 1,
        "seconds": round(seconds, 3),
        "says": publisher.outcome,
        "told": round(noticed, 3),
    }
    return found | {"lost": int(not kept), "urgent": not mail_kept}


def is_kept_undispatched(task: str) -> bool:
    """Publishes a job as the site does. Whether its row says that the broker did not take it."""
    job = Job.objects.create(task=task, queue=table().queue_of(task), queued_at=timezone.now())
    jobs.publish(job)
    return Job.objects.get(pk=job.pk).dispatched_at is None


def limit_memory() -> None:
    """Its memory is soon full."""
    while not (used := read_broker_state()["memory_bytes"]):
        time.sleep(0.1)  # RabbitMQ has not counted it yet
    if is_amqp():
        limit_rabbitmq("absolute", str(used + MEMORY["rabbitmq"]))
    else:
        from_url(settings.BROKER_URL).config_set("maxmemory", used + MEMORY["valkey"])


def limit_rabbitmq(*watermark: str) -> None:
    subprocess.run([CTL, "--quiet", "set_vm_memory_high_watermark", *watermark], check=True, capture_output=True)  # noqa: S603


def show(what: str, messages: int, seconds: float, said: str) -> None:
    print(f"{what:<24}{messages:>9}{seconds:>10.3f} s  {said}", flush=True)


def empty_broker() -> None:
    """As if an administrator had come: no message is left, and RabbitMQ has its memory back."""
    if not is_amqp():
        from_url(settings.BROKER_URL).flushdb()
        return
    limit_rabbitmq("0.4")
    with connect() as connection:
        connection.default_channel.queue_delete("celery")
    while alarms():
        time.sleep(0.2)


def main() -> None:
    state.CACHE_SECONDS = 0  # each look asks again
    limit_memory()
    print(f"{'':<24}{'messages':>9}{'the next':>12}")
    wrong = run_wrong(int(sys.argv[1]) if sys.argv[1:] else 20)
    empty_broker()
    right = run_right()
    print(json.dumps({"broker": "rabbitmq" if is_amqp() else "valkey", "wrong": wrong, "right": right}))
