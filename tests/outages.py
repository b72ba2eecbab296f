"""A server that is away: nobody listens at its address, or somebody does and never says a word, or packets are lost."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from django.db import connection

from workers.runtime import publishing

NOBODY = "redis://127.0.0.1:1/0"


def take_away(settings, alias: str, url: str = NOBODY) -> None:
    """The cache's server (`default`) or that of the locks (`locks`) is gone until the test ends."""
    settings.CACHES = settings.CACHES | {alias: settings.CACHES[alias] | {"LOCATION": url}}


@contextmanager
def broker_away(url: str = NOBODY) -> Iterator[None]:
    """Nothing can be published."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELERY_BROKER_WRITE_URL", url)
        publishing.connection.cache_clear()
        yield
    publishing.connection.cache_clear()


@contextmanager
def database_away(address: str) -> Iterator[None]:
    """Every connection to the database goes to this host:port."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("HOST", "PORT"), address.split(":"), strict=True):
            patch.setitem(connection.settings_dict, name, value)
        connection.close()
        yield
    connection.close()


@contextmanager
def refusing() -> Iterator[str]:
    """host:port where nobody listens."""
    yield "127.0.0.1:1"


@contextmanager
def mute() -> Iterator[str]:
    """host:port that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def dropping() -> Iterator[str]:
    """host:port whose packets are lost: the kernel drops what comes to a listener that has no room for it."""
    with ExitStack() as held:
        server = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            client = held.enter_context(socket.socket())
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(server.getsockname())
        yield f"127.0.0.1:{server.getsockname()[1]}"


OUTAGES = (refusing, mute, dropping)
