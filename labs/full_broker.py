"""A broker with little memory, for labs/1_broker.py: fill it, click beside it, look into it, give it memory again."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

from celery import Celery
from django.conf import settings
from django.db import connections
from django.utils import timezone
from kombu import Connection, Queue
from kombu.exceptions import OperationalError
from redis import from_url
from redis.exceptions import OutOfMemoryError

from config.celery import app as site
from devtools.processes import wait_until
from devtools.rabbitmq import CTL
from workers import jobs
from workers.brokers import state
from workers.brokers.connection import is_amqp
from workers.brokers.state import read_broker_state
from workers.jobs import outbox
from workers.models import Job
from workers.practices import broker
from workers.queues import table

ROOM = 2 << 20  # bytes of Valkey, beside what it needs when empty
RESET = "workers.default.tasks.send_password_reset"
HANGING_SECONDS = 5  # after which the web server kills a request
# Each look asks the broker anew, and the sweep takes the newest jobs too.
state.CACHE_SECONDS = outbox.CLICK_SECONDS = 0


@dataclass(frozen=True)
class Film:
    subtitles: str


@dataclass(frozen=True)
class Klipp:
    """What its views call for a click."""

    upload: Callable[[Film], None]
    forget_password: Callable[[str], object]


def klipp(**options: Any) -> Klipp:
    """The project of the chapter. options: of its broker."""
    app = Celery("klipp", broker=settings.BROKER_URL)

    @app.task(queue="videos")
    def transcode(subtitles: str) -> None:
        """Put the subtitles into the film."""

    def upload(film: Film) -> None:
        transcode.delay(film.subtitles)

    @app.task(queue="resets")
    def send_reset(address: str) -> None:
        """Mail a link."""

    app.conf.broker_transport_options = options
    app.conf.task_default_queue_type = "quorum"
    site.set_current()  # else the site's own tasks would go to this app
    return Klipp(upload, send_reset.delay)


@contextmanager
def limit_videos(sizes: Mapping[str, float]) -> Iterator[None]:
    """Of the site: 10,000 messages in the table."""
    table().queues["video"] = replace(table().queues["video"], max_messages=int(sizes["limit"]))
    broker.prepare_queues()
    yield


@contextmanager
def small_broker(eviction: str = "noeviction") -> Iterator[None]:
    """At the end it is empty. eviction: the policy of Valkey."""
    if not is_amqp():
        valkey().config_set("maxmemory-policy", eviction)
        valkey().config_set("maxmemory", valkey().info("memory")["used_memory"] + ROOM)
    try:
        yield
    finally:
        give_memory()
        empty()


class Videos:
    """Uploads films with their subtitles, until the broker takes no more."""

    def __init__(self, sizes: Mapping[str, float]) -> None:
        self.upload, self.remaining = klipp(confirm_publish=is_amqp()).upload, int(sizes["videos"])
        self.film = Film("x" * int(1024 * sizes["kilobytes"]))

    def __call__(self) -> bool:
        """Whether the broker took one more."""
        self.remaining -= 1
        if self.remaining >= 0:
            with suppress(OperationalError):
                self.upload(self.film)
                return True
        stay_full()
        return False


def stay_full() -> None:
    """Lower the limit to what the messages take.

    RabbitMQ takes minutes to fill, and 4 writes messages to its disk meanwhile (docs/facts/servers.md#memory-alarm).
    Valkey would have room for a few again, once a connection ends.
    """
    if is_amqp():
        limit_rabbitmq("absolute", "1MB")
        wait_until(alarms, "RabbitMQ's alarm")
    elif valkey().config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction":
        valkey().config_set("maxmemory", int(valkey().info("memory")["used_memory"] * 0.9))


def click(count: int, publish: Callable[[], object]) -> tuple[int, int]:
    """Each click is a process of its own, which then ends, as one of the web does at a deploy.

    Returns how many got no error, and how many hung and were killed.
    """
    connections.close_all()  # of the database: a copy of an open one would serve two processes
    processes = [get_context("fork").Process(target=publish_quietly, args=[publish]) for _ in range(count)]
    for process in processes:
        process.start()
    kill_at = time.monotonic() + HANGING_SECONDS
    for process in processes:
        process.join(max(0, kill_at - time.monotonic()))
    hanging = sum(process.is_alive() for process in processes)
    for process in processes:
        process.kill()
        process.join()
    return sum(process.exitcode == 0 for process in processes), hanging


def publish_quietly(publish: Callable[[], object]) -> None:
    """Exits with 1 after an error."""
    try:
        publish()
    except OperationalError:
        raise SystemExit(1) from None


def read(queue: str, count: int) -> set[str]:
    """The ids of the first `count` messages, as a worker gets them. It acknowledges none."""
    found: list[str] = []
    with suppress(OutOfMemoryError, TimeoutError), Connection(settings.BROKER_URL) as connection:
        consumer = connection.Consumer(Queue(queue, no_declare=True))
        consumer.register_callback(lambda _, message: found.append(message.headers["id"]))
        consumer.qos(prefetch_count=count)
        with consumer:
            while len(found) < count:
                connection.drain_events(timeout=2)
    return set(found)


def publish_job(task: str) -> bool:
    return jobs.publish(Job.objects.create(task=task, queue=table().queue_of(task), queued_at=timezone.now()))


def sweep() -> None:
    """As beat's task does, until each reset has its message."""
    waiting = Job.objects.filter(task=RESET, dispatched_at=None)
    wait_until(lambda: not outbox.publish_due() and not waiting.exists(), "the sweep")
    Job.objects.all().delete()


def alarms() -> list[str]:
    return read_broker_state()["alarms"]


def valkey() -> Any:
    return from_url(settings.BROKER_URL)


def give_memory() -> None:
    """As if an administrator had come."""
    if is_amqp():
        limit_rabbitmq("0.4")
        wait_until(lambda: not alarms(), "the end of RabbitMQ's alarm")
    else:
        valkey().config_set("maxmemory", 0)


def empty() -> None:
    if not is_amqp():
        valkey().flushdb()
        return
    with Connection(settings.BROKER_URL) as connection:
        for name in read_broker_state()["queues"]:
            connection.default_channel.queue_purge(name)


def limit_rabbitmq(*watermark: str) -> None:
    subprocess.run([CTL, "--quiet", "set_vm_memory_high_watermark", *watermark], check=True, capture_output=True)  # noqa: S603
