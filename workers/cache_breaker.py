"""The circuit breaker of the cache, as redis-py's way to try a command.

A timeout is the whole wait: neither a connect nor a command is tried twice.
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Self

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, TimeoutError  # noqa: A004 - their names in redis-py
from redis.retry import Retry

from workers.circuit_breaker import AWAY_SECONDS, CircuitBreaker

log = logging.getLogger(__name__)


class GuardedTry(Retry):
    def __init__(self, breaker: CircuitBreaker) -> None:
        super().__init__(NoBackoff(), 0)
        self.breaker = breaker
        self._quiet_until = 0.0

    def __deepcopy__(self, _: object) -> Self:
        """redis-py gives each connection a copy: all share this one, with its breaker."""
        return self

    def call_with_retry(self, do: Callable[[], Any], *args: Any, **options: Any) -> Any:
        with self.breaker.guard(TimeoutError):
            try:
                return super().call_with_retry(do, *args, **options)
            except ConnectionError as error:
                self._log(error)
                raise

    def _log(self, error: ConnectionError) -> None:
        """Once in AWAY_SECONDS: django-redis ignores the error, or logs a traceback for each command."""
        if (now := time.monotonic()) >= self._quiet_until:
            self._quiet_until = now + AWAY_SECONDS
            log.warning("cache_connection_failed error=%r", error)


CACHE_BREAKER = GuardedTry(CircuitBreaker("cache", ConnectionError))
