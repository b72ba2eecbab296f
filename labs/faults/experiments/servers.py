"""Redis and Valkey: one server for broker and cache, a full one, one that forgets, and one that stands still."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from celery import Celery
from django.conf import settings
from django.core.cache import cache
from redis import Redis, RedisError, from_url

from devtools.embedded import DURABLE, run_valkey
from devtools.processes import wait_until
from devtools.servers import Server, suspended
from labs.faults.brokers import VALKEY
from labs.faults.experiment import Experiment, Seen
from labs.faults.project import Project, of_site, plain
from workers import circuit_breaker
from workers.practices import progress
from workers.queues import table
from workers.runtime import publishing

MB = 1 << 20
TASKS = 50


class ServerFault(Experiment):
    page = "servers.md"
    brokers = (VALKEY,)


class Eviction(ServerFault):
    """One Redis for broker and cache, as most tutorials have it. The cache fills up, the server makes room, and what it
    deletes is the queue."""

    id = "eviction"
    fix, how = "config/settings.py", "two addresses; rule `practices.E101` refuses one server for both"
    reads = f"when the cache is full, {{left}} of {TASKS} messages are left"

    def without(self) -> Seen:
        return self.fill(settings.REDIS_URL)

    def with_fix(self) -> Seen:
        return self.fill(settings.BROKER_URL)

    def fill(self, broker_url: str) -> Seen:
        self.broker.empty()
        app = Celery("plain", broker=broker_url, set_as_current=False)
        for _ in range(TASKS):
            app.send_task("work")
        time.sleep(1.5)  # Redis counts in seconds which key was used last
        with from_url(settings.REDIS_URL) as shared, from_url(broker_url) as broker:
            for number in range(100):
                shared.set(f"page {number}", b"x" * MB)
            left = int(broker.llen("celery"))
            shared.flushall()
        return {"left": left}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["left"] < TASKS)


class Persistence(ServerFault):
    """Redis as broker with a cache's configuration: nothing is on disk. A restart of the server deletes every task that
    waits, without an error."""

    id = "persistence"
    fix, how = "devtools/embedded.py", "`appendonly yes`; on a platform, a plan with persistence"
    reads = "after a restart, {left} of 5 messages are left"

    def without(self) -> Seen:
        return self.restart("appendonly no\n")

    def with_fix(self) -> Seen:
        return self.restart(DURABLE)

    def restart(self, policy: str) -> Seen:
        with TemporaryDirectory() as folder, run_valkey(Path(folder, "valkey"), "secret", policy) as url:
            app = Celery("plain", broker=url, set_as_current=False)
            for _ in range(5):
                app.send_task("work")
            app.close()
            Server.running[-1].crash()
            with from_url(url) as redis:
                wait_until(lambda: answers(redis), "Valkey")
                return {"left": redis.llen("celery")}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["left"] < 5)


def answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False


class FullServer(ServerFault):
    """A queue without a limit fills the broker's server. Then its workers cannot empty it either: to take a message,
    they must write that they did."""

    id = "full-server"
    fix, how = "workers/runtime/publishing.py", "each queue has a limit, above which a publish is refused"
    reads = "a worker that comes to the rescue {state}"

    def without(self) -> Seen:
        with plain(self.broker) as project:
            app = project.client()
            return self.fill(project, lambda: app.send_task("name_only", args=["x" * 10_000], queue=project.queue))

    def with_fix(self) -> Seen:
        with of_site(self.broker) as project:
            before = table().queues[project.queue]
            table().queues[project.queue] = replace(before, max_messages=20)
            try:
                return self.fill(project, lambda: publishing.publish("name_only", str(uuid4()), project.queue))
            finally:
                table().queues[project.queue] = before

    def fill(self, project: Project, publish: Callable[[], object]) -> Seen:
        server = self.broker.client
        server.config_set("maxmemory", int(server.info("memory")["used_memory"]) + MB)
        try:
            is_refused = False
            while not is_refused:
                try:
                    publish()
                except Exception:  # kombu's OperationalError, or its AttributeError after a retry
                    is_refused = True
            return self.consume(project)
        finally:
            server.config_set("maxmemory", 0)

    def consume(self, project: Project) -> Seen:
        try:
            project.start_worker()
        except RuntimeError:
            return {"state": "ends at its start"}
        project.has("named", 10, seconds=5)
        return {
            "state": "empties the queue" if project.count("named") >= 10 else f"runs {project.count('named')} tasks"
        }

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] != "empties the queue")


class FrozenServer(ServerFault):
    """Redis stands still, and a page asks it for the progress of ten files, one after the other. Each question takes
    its whole timeout, and so does each next page."""

    id = "frozen-server"
    fix, how = "workers/cache_breaker.py", "one command for all, half a second, and a memory that it was silent"
    reads = "two pages with ten files take {seconds}"

    def without(self) -> Seen:
        with from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as redis:
            return self.ask(lambda: [self.read(redis, number) for number in range(10)])

    def with_fix(self) -> Seen:
        try:
            return self.ask(lambda: progress.read_many(range(10)))
        finally:
            circuit_breaker.reset_all()
            cache.clear()

    def read(self, redis: Redis, number: int) -> None:
        try:
            redis.get(f"progress {number}")
        except RedisError:
            """The page shows none."""

    def ask(self, page: Callable[[], object]) -> Seen:
        server = next(each for each in Server.running if each.data.name == "cache")
        page()
        with suspended(server.process):
            began = time.monotonic()
            page()
            page()
            seconds = time.monotonic() - began
        return {"seconds": "more than 10 s" if seconds > 10 else "less than 5 s" if seconds < 5 else f"{seconds:.0f} s"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["seconds"] != "less than 5 s")


FAULTS: list[type[Experiment]] = [Eviction, Persistence, FullServer, FrozenServer]
