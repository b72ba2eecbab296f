"""Servers that cannot be reached: they refuse connections, accept them and never answer, or their packets are lost."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import psutil
import pytest
from django.db import connection

from devtools.servers import Server
from workers import circuit_breaker
from workers.brokers import producers

UNREACHABLE_URL = "redis://127.0.0.1:1/0"


def running_server(name: str) -> psutil.Process:
    """postgres, cache, or broker, which has the locks too."""
    return next(each.process for each in Server.running if each.data.name == name)


def make_unreachable(settings, alias: str, url: str = "") -> None:
    """Give a cache alias (`default` or `locks`) an address without a server until the test ends.

    One of its own: django-redis shares a pool of connections, with the options of its first alias, by the URL.
    """
    url = url or f"{UNREACHABLE_URL}?client_name={alias}"
    settings.CACHES = settings.CACHES | {alias: settings.CACHES[alias] | {"LOCATION": url}}


@contextmanager
def unreachable_broker(url: str = UNREACHABLE_URL) -> Iterator[None]:
    """Publishing connects to `url`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELERY_BROKER_WRITE_URL", url)
        producers.connection.cache_clear()
        yield
    producers.connection.cache_clear()


@contextmanager
def unreachable_database(address: str) -> Iterator[None]:
    """Every connection to the database goes to this host:port."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("HOST", "PORT"), address.split(":"), strict=True):
            patch.setitem(connection.settings_dict, name, value)
        connection.close()
        yield
    connection.close()
    circuit_breaker.reset_all()


@contextmanager
def refusing_address() -> Iterator[str]:
    """host:port where no process listens."""
    yield "127.0.0.1:1"


@contextmanager
def silent_address() -> Iterator[str]:
    """host:port that accepts every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def dropping_address() -> Iterator[str]:
    """host:port whose packets are lost: the kernel drops them, because the listener's backlog is full."""
    with ExitStack() as held:
        server = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            client = held.enter_context(socket.socket())
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(server.getsockname())
        yield f"127.0.0.1:{server.getsockname()[1]}"


OUTAGES = (refusing_address, silent_address, dropping_address)
