"""A server that is away: its address becomes a port where nobody listens."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from workers.runtime import publishing

NOBODY = "redis://127.0.0.1:1/0"


def take_away(settings, alias: str) -> None:
    """The cache's server (`default`) or that of the locks (`locks`) is gone until the test ends."""
    settings.CACHES = settings.CACHES | {alias: settings.CACHES[alias] | {"LOCATION": NOBODY}}


@contextmanager
def broker_away() -> Iterator[None]:
    """Nothing can be published."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELERY_BROKER_WRITE_URL", NOBODY)
        publishing.connection.cache_clear()
        yield
    publishing.connection.cache_clear()
