"""What does a publish take when nobody reads a queue? `python -m labs [--rabbitmq] 1 [KB a message]` (half a minute).

Wrong: a new project's tasks, with their data in them, go to a queue without reader or limit until the broker takes no
more. Right: ids, through the site's own publish, into a queue that it limits (RabbitMQ refuses; on Valkey the publish
looks first). Printed for each: how many messages went, what the next publish takes and says, and what is lost. It
teaches that a full broker is full for every queue, that its error comes late or never, and that only a row keeps what a
broker refuses.
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
PATIENCE = 5  # seconds, after which a publish counts as hanging
ENOUGH = 60  # seconds of messages that all went
MEMORY = {"valkey": 2 << 20, "rabbitmq": 20 << 20}  # bytes beside what it needs when empty
UNCONFIRMED = 20  # messages, few enough for the buffers of a socket
LIMIT = 100  # messages in `video`, instead of the table's 10,000


class Filling(Thread):
    """Publishes until the broker refuses one, lets it hang, or `is_full`. went: how many did, as they say."""

    def __init__(self, publish: Callable[[], object], is_full: Callable[[], object] = bool) -> None:
        super().__init__(daemon=True)
        self.publish, self.is_full, self.said = publish, is_full, "hangs"
        self.went, self.since, self.full = 0, time.monotonic(), Event()

    def run(self) -> None:
        try:
            while not self.full.is_set():
                self.publish()
                self.went, self.since = self.went + 1, time.monotonic()
        except Exception as error:  # kombu's OperationalError mostly, its AttributeError after a retry on Valkey
            self.said = f"raises {type(error).__name__}"

    def wait(self) -> float:
        """Returns the seconds of the publish that did not go."""
        began = time.monotonic()
        self.start()
        while self.is_alive() and time.monotonic() - self.since < PATIENCE:
            if time.monotonic() - began > ENOUGH:
                raise SystemExit(f"{self.went} messages, and it takes more.")
            self.join(0.05)
            if self.is_full():
                break
        self.full.set()
        return time.monotonic() - self.since


def new_project(**options: Any) -> Celery:
    """An app as a tutorial makes it, with options of its broker."""
    app = Celery("new", broker=settings.BROKER_URL, set_as_current=False)
    app.conf.broker_transport_options = options
    app.conf.task_default_queue_type = "quorum"  # RabbitMQ 4 writes a classic queue to its disk before it is full
    return app


def run_wrong(kilobytes: int) -> dict[str, Any]:
    """Without a limit, and without confirms, as Celery does by default; then with confirms."""
    app, data = new_project(), "x" * 1024 * kilobytes
    filling = Filling(lambda: app.send_task("work", args=[data]), alarms)
    seconds, said = filling.wait(), filling.said
    if not is_amqp():
        show("wrong: no limit", filling.went, seconds, f"{said}, for every queue")
        return {"messages": filling.went, "seconds": round(seconds, 3), "says": said, "lost": read_on()}
    messages = filling.went
    show("wrong: no limit", messages, 0, "RabbitMQ raises its alarm, for every queue")
    keep_full()
    before = length("celery")
    for _ in range(UNCONFIRMED):
        app.send_task("work")
    lost = before + UNCONFIRMED - length("celery")
    show("wrong: no confirm", UNCONFIRMED, 0, f"every one is said to be sent, {lost} do not arrive")
    careful = new_project(confirm_publish=True)
    one = Filling(lambda: careful.send_task("work"))
    show("wrong: no time limit", one.went, seconds := one.wait(), f"{one.said}, for every queue")
    return {"messages": messages, "seconds": round(seconds, 3), "says": one.said, "lost": lost}


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


def read_on() -> int:
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
    while "nobody reads it" not in (why := broker.verify().reason):
        time.sleep(0.1)
    show("right: the doctor", 1, told := time.monotonic() - began, why)
    filling = Filling(lambda: publishing.publish(VIDEO, str(uuid4()), "video"))
    seconds = filling.wait()
    kept, mail_kept = (keep(task) for task in (VIDEO, MAIL))
    elsewhere = "an urgent one stays in its too" if mail_kept else "urgent goes on"
    show("right: limit and row", filling.went + 1, seconds, f"{filling.said}, the job stays in its row, {elsewhere}")
    found = {"messages": filling.went + 1, "seconds": round(seconds, 3), "says": filling.said, "told": round(told, 3)}
    return found | {"lost": int(not kept), "urgent": not mail_kept}


def keep(task: str) -> bool:
    """Publishes a job as the site does. Whether its row says that the broker did not take it."""
    job = Job.objects.create(task=task, queue=table().queue_of(task), queued_at=timezone.now())
    jobs.publish(job)
    return Job.objects.get(pk=job.pk).dispatched_at is None


def make_small() -> None:
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


def empty() -> None:
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
    state.CACHE_SECONDS = 0  # each look asks anew
    make_small()
    print(f"{'':<24}{'messages':>9}{'the next':>12}")
    wrong = run_wrong(int(sys.argv[1]) if sys.argv[1:] else 20)
    empty()
    right = run_right()
    print(json.dumps({"broker": "rabbitmq" if is_amqp() else "valkey", "wrong": wrong, "right": right}))
