"""Fixtures of a RabbitMQ node: one for all tests, and a virtual host of its own for each test that asks."""

import os
import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from devtools.rabbitmq import SERVER, Node, fresh_node
from workers.brokers.connection import SHORT_TIMEOUTS

# A node that syncs its disk can be silent for more than the half second that a publish waits: it is not away.
PATIENCE = {name: 30 for name in SHORT_TIMEOUTS if name.endswith("_timeout")}


@pytest.fixture(scope="session")
def rabbitmq(rabbitmq_node: Node) -> str:
    """The AMQP address of the node."""
    return rabbitmq_node.url


@pytest.fixture(scope="session")
def rabbitmq_installed() -> None:
    """Skips a test that starts a node itself where RabbitMQ is not installed; where CI is set, fails it."""
    if not SERVER.exists():
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent(f"no {SERVER}: apt-get install rabbitmq-server")


@pytest.fixture(scope="session")
def rabbitmq_node(rabbitmq_installed: None) -> Iterator[Node]:
    """The node, for tests that also use its management API or its settings."""
    with fresh_node() as node:
        yield node


@pytest.fixture
def vhost(rabbitmq_node: Node, monkeypatch) -> Iterator[Node]:
    """A virtual host of its own on the node, without the queues of other tests."""
    for name, seconds in PATIENCE.items():
        monkeypatch.setitem(SHORT_TIMEOUTS, name, seconds)
    name = f"t{secrets.token_hex(4)}"
    rabbitmq_node.ask("PUT", f"/api/vhosts/{name}")
    url, encrypted = (url.removesuffix("/") + name for url in (rabbitmq_node.url, rabbitmq_node.encrypted))
    yield replace(rabbitmq_node, url=url, encrypted=encrypted)
    rabbitmq_node.ask("DELETE", f"/api/vhosts/{name}")
