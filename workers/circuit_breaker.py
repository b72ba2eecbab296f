"""Remembers for some seconds that a server is silent, so that one request waits for it and the next ones do not.

One breaker a server and process. After AWAY_SECONDS one caller tries again (half-open); the others learn at once that
the server is away, as before. It has no lock, because a fork may copy a held one: two callers that try do no harm.
The libraries for this let one caller at a time ask the server, or all of them once the time is over.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ClassVar

log = logging.getLogger(__name__)

AWAY_SECONDS = 3.0

# Set for the threads that answer requests, and never unset: they do nothing else. A task waits for a server as long as
# its clients do.
in_request: ContextVar[bool] = ContextVar("in_request", default=False)


class CircuitBreaker:
    """error: what check() raises: an error of the server's own client, which its callers handle."""

    all: ClassVar[list["CircuitBreaker"]] = []

    def __init__(self, server: str, error: type[Exception]) -> None:
        self.server, self.error = server, error
        self._retry_at = 0.0  # 0: the server is not known to be away
        self.all.append(self)

    def check(self) -> None:
        """Raises `error` while the server is remembered as away, unless it is this caller's turn to try."""
        if not self._retry_at:
            return
        now = time.monotonic()
        if now < self._retry_at:
            raise self.error(f"The {self.server} was silent a moment ago.")
        self._retry_at = now + AWAY_SECONDS

    @contextmanager
    def guard(self, *silence: type[Exception]) -> Iterator[None]:
        """For one question to the server: `silence` opens the breaker, any answer closes it. Raises as check() does."""
        self.check()
        try:
            yield
        except silence as error:
            log.warning("server_silent server=%s error=%r", self.server, error)
            self._retry_at = time.monotonic() + AWAY_SECONDS
            raise
        except Exception:
            self.reset()
            raise
        self.reset()

    def reset(self) -> None:
        self._retry_at = 0.0


def reset_all() -> None:
    """For tests."""
    for breaker in CircuitBreaker.all:
        breaker.reset()
