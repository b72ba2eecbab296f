"""What a request sees when it sends a task to a broker that is away, silent, or not the one that it should be."""

import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from uuid import uuid4

from celery import Celery, current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from devtools.certificates import Authority
from labs.faults.brokers import VALKEY
from labs.faults.experiment import Experiment, Seen
from labs.faults.project import Project, of_site, plain
from workers import addresses, circuit_breaker, jobs
from workers.brokers import producers
from workers.brokers.connection import count_ready
from workers.models import Job
from workers.runtime import publishing

HANGING_SECONDS = 6  # after which a publish counts as one that hangs
REPORT = "workers.highmem.tasks.report_on_rows"


def outcome_of(publish: Callable[[], object]) -> str:
    """What it does, in a thread, which goes on if it hangs."""
    outcomes: list[str] = []

    def report() -> None:
        try:
            publish()
            outcomes.append("says that it is sent")
        except Exception as error:
            outcomes.append(f"raises {type(error).__name__}")

    thread = Thread(target=report, daemon=True)
    thread.start()
    thread.join(HANGING_SECONDS)
    return outcomes[0] if outcomes else "hangs"


@contextmanager
def site_publishes_to(url: str) -> Iterator[None]:
    """Publishes of the site connect to `url`."""
    os.environ["CELERY_BROKER_WRITE_URL"] = url
    producers.connection.cache_clear()
    try:
        yield
    finally:
        del os.environ["CELERY_BROKER_WRITE_URL"]
        producers.connection.cache_clear()
        circuit_breaker.reset_all()


class SilentBroker(Experiment):
    """Redis accepts connections and answers nothing, as behind a proxy or on a frozen machine. Each request that calls
    `.delay()` hangs for more than a minute, until no web process is left."""

    id = "publish-timeouts"
    fix, how = "workers/brokers/producers.py", "one connection for publishes, with short timeouts"
    reads = "`.delay()` {outcome}"
    brokers = (VALKEY,)

    def without(self) -> Seen:
        with silent_url() as url:
            app = Celery("plain", broker=url, set_as_current=False)
            return {"outcome": outcome_of(lambda: app.send_task("work"))}

    def with_fix(self) -> Seen:
        with silent_url() as url, site_publishes_to(url):
            return {"outcome": outcome_of(lambda: publishing.publish(REPORT, str(uuid4()), "highmem"))}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["outcome"] == "hangs")


@contextmanager
def silent_url() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


class ConnectionPool(SilentBroker):
    """A few slow publishes hold all connections of the pool. Each further `.delay()` in that process waits for one
    without a limit."""

    id = "connection-pool"
    how = "a publish waits half a second for a connection"

    def without(self) -> Seen:
        app = Celery("plain", broker=settings.BROKER_URL, set_as_current=False)
        app.conf.broker_pool_limit = 2
        with ExitStack() as others:
            for _ in range(2):
                others.enter_context(app.producer_pool.acquire())
            return {"outcome": outcome_of(lambda: app.send_task("work"))}

    def with_fix(self) -> Seen:
        with site_publishes_to(settings.BROKER_URL), ExitStack() as others:
            for _ in range(current_app.conf.broker_pool_limit):
                others.enter_context(producers.acquire_producer())
            return {"outcome": outcome_of(lambda: publishing.publish(REPORT, str(uuid4()), "highmem"))}


class UnknownQueue(Experiment):
    """A typing error in the name of a queue. Celery creates that queue and says that the task is sent; no worker ever
    reads it."""

    id = "unknown-queue"
    fix, how = "config/celery.py", "`task_create_missing_queues=False`"
    reads = "`apply_async(queue='emials')` {outcome}"

    def without(self) -> Seen:
        with plain(self.broker) as project:
            return self.measure(project)

    def with_fix(self) -> Seen:
        with of_site(self.broker) as project:
            return self.measure(project)

    def measure(self, project: Project) -> Seen:
        client = project.client()
        if project.queue != "celery":
            client.conf.task_create_missing_queues = current_app.conf.task_create_missing_queues
        return {"outcome": outcome_of(lambda: client.send_task("work", queue="emials"))}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["outcome"] == "says that it is sent")


class DelayOnCommit(Experiment):
    """The broker is away for a second at the moment of a commit. The user sees an error although the upload is stored,
    and its task is never sent."""

    id = "delay-on-commit"
    fix, how = "workers/jobs/dispatch.py", "a job is a row, and the sweep sends the message later"
    reads = "the request {request}; messages in the queue later: {messages}"
    brokers = (VALKEY,)
    away = "redis://127.0.0.1:1/0"

    def without(self) -> Seen:
        with plain(self.broker) as project:
            app = Celery("plain", broker=self.away, set_as_current=False)
            request = self.commit(lambda: transaction.on_commit(lambda: app.send_task("work")))
            return {"request": request, "messages": project.ready()}

    def with_fix(self) -> Seen:
        with of_site(self.broker):
            with site_publishes_to(self.away):
                request = self.commit(lambda: jobs.create(REPORT, owner_id=None, arguments={}))
            Job.objects.update(queued_at=timezone.now() - timedelta(minutes=1))
            jobs.sweep()
            messages = count_ready("highmem")
        Job.objects.all().delete()
        return {"request": request, "messages": messages}

    def commit(self, work: Callable[[], object]) -> str:
        try:
            with transaction.atomic():
                work()
        except Exception as error:
            return f"fails with {type(error).__name__}"
        return "succeeds"

    def happened(self, seen: Seen) -> bool:
        return bool(not seen["messages"])


class UnverifiedTls(Experiment):
    """The broker's address begins with `rediss://`, so the traffic looks safe. Celery talks to whoever answers there,
    with any certificate, and sends the password."""

    id = "tls-defaults"
    fix, how = "workers/addresses.py", "the options that verify, written out"
    reads = "a stranger with a certificate of his own is {outcome}"
    brokers = (VALKEY,)

    def without(self) -> Seen:
        return self.connect({})

    def with_fix(self) -> Seen:
        return self.connect(None)

    def connect(self, options: dict[str, Any] | None) -> Seen:
        with TemporaryDirectory() as folder, tls_server(Path(folder)) as (port, trusted):
            url = f"rediss://app:secret@127.0.0.1:{port}/0"
            if options is None:
                options = {"broker_use_ssl": addresses.redis_tls_options(url, "", verified=True)}
            app = Celery("client", broker=url, set_as_current=False)
            app.conf.update(options)
            outcome_of(lambda: app.connection_for_write(connect_timeout=1).ensure_connection(max_retries=1, timeout=1))
            return {"outcome": "trusted" if trusted else "refused"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["outcome"] == "trusted")


@contextmanager
def tls_server(folder: Path) -> Iterator[tuple[int, list[str]]]:
    """Its port, and the handshakes that clients have completed. Its authority is known to nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Authority(folder).issue("127.0.0.1"))
    completed: list[str] = []

    def serve() -> None:
        with suppress(OSError):  # closed at the end
            while True:
                client, _ = server.accept()
                with suppress(OSError), context.wrap_socket(client, server_side=True) as encrypted:
                    if encrypted.recv(1):  # a client that refuses the certificate sends nothing
                        completed.append("a password, probably")

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], completed
        time.sleep(0.2)


FAULTS: list[type[Experiment]] = [SilentBroker, ConnectionPool, UnknownQueue, DelayOnCommit, UnverifiedTls]
