"""The broker of a run: what experiments do to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import quote

from django.conf import settings
from redis import Redis, RedisError, from_url

from devtools.processes import wait_until
from devtools.rabbitmq import Node
from devtools.servers import Server

VALKEY, RABBITMQ = "valkey", "rabbitmq"


class Valkey:
    kind = VALKEY

    @cached_property
    def client(self) -> Redis:
        return from_url(settings.BROKER_URL)

    @cached_property
    def release(self) -> str:
        info: Any = self.client.info("server")
        return str(info.get("valkey_version") or info["redis_version"])

    def empty(self) -> None:
        self.client.flushall()

    def count_unacked(self, queue: str) -> int:
        return int(self.client.hlen("unacked"))

    @contextmanager
    def outage(self) -> Iterator[None]:
        """It is killed, and comes back on its data after the block."""
        server = next(each for each in Server.running if each.data.name == "broker")
        server.process.kill()
        server.process.wait()
        Server.running.remove(server)
        try:
            yield
        finally:
            server.start_again()
            wait_until(self.answers, "Valkey")

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False


class RabbitMQ:
    kind = RABBITMQ

    def __init__(self, node: Node) -> None:
        self.node = node

    @cached_property
    def release(self) -> str:
        return str(self.node.ask("GET", "/api/overview")["rabbitmq_version"])

    def empty(self) -> None:
        """Deletes the queues, too: another arm declares them otherwise. A worker's own end with it."""
        for name in (queue["name"] for queue in self.node.ask("GET", "/api/queues?columns=name")):
            if not name.startswith("celeryev.") and not name.endswith(".pidbox"):
                self.node.ask("DELETE", f"/api/queues/%2F/{quote(name, safe='')}")
        for policy in self.node.ask("GET", "/api/policies"):
            self.node.ask("DELETE", f"/api/policies/%2F/{policy['name']}")

    def count_unacked(self, queue: str) -> int:
        time.sleep(1.5)  # its figures are up to a second old
        return int(self.node.ask("GET", f"/api/queues/%2F/{queue}").get("messages_unacknowledged", 0))

    def drop_connections(self) -> None:
        for each in self.node.ask("GET", "/api/connections?columns=name"):
            self.node.ask("DELETE", f"/api/connections/{quote(each['name'], safe='')}")

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.release.split(".")[:2])


Broker = Valkey | RabbitMQ


def release_of(broker: Broker) -> str:
    """Such as "RabbitMQ 3.10"."""
    name = {VALKEY: "Valkey", RABBITMQ: "RabbitMQ"}[broker.kind]
    return f"{name} {'.'.join(broker.release.split('.')[:2])}"
