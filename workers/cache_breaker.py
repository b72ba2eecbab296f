"""The circuit breaker of the cache, as redis-py's way to try a command.

A timeout is the whole wait: neither a connect nor a command is tried twice.
"""

from collections.abc import Callable
from typing import Any, Self

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, TimeoutError  # noqa: A004 - their names in redis-py
from redis.retry import Retry

from workers.circuit_breaker import CircuitBreaker


class GuardedTry(Retry):
    def __init__(self, breaker: CircuitBreaker) -> None:
        super().__init__(NoBackoff(), 0)
        self.breaker = breaker

    def __deepcopy__(self, _: object) -> Self:
        """redis-py gives each connection a copy: all share this one, with its breaker."""
        return self

    def call_with_retry(self, do: Callable[[], Any], *args: Any, **options: Any) -> Any:
        with self.breaker.guard(TimeoutError):
            return super().call_with_retry(do, *args, **options)


CACHE_BREAKER = GuardedTry(CircuitBreaker("cache", ConnectionError))
