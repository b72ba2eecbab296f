"""Django's PostgreSQL backend, with an end to the wait of a web request for a silent server, and after a time limit.

A frozen server keeps its connections: the kernel acknowledges each packet, so no TCP option ends the wait
(docs/facts/servers.md#frozen-postgresql). A slow query is no silence: another connection tells whether the server
still answers.
"""

import time
from collections.abc import Generator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, Self

import psycopg
from django.db.backends.postgresql import base
from psycopg import waiting
from psycopg.pq import TransactionStatus

from workers.circuit_breaker import CircuitBreaker, in_request
from workers.database.probe import PROBE_SECONDS, is_silent

BREAKER = CircuitBreaker("database", psycopg.OperationalError)
SILENCE_SECONDS = 0.75  # without a byte, until the server is asked whether it answers, and between two such questions
CANCEL_SECONDS = 5.0  # for the end of a query out of which a signal raised, as long as psycopg gives Ctrl-C
SLOW_SECONDS = 20.0  # for one query: a platform's router gives up after 30


class ServerSilentError(psycopg.OperationalError):
    """The server answers nothing, on no connection."""


class QueryTooSlowError(psycopg.OperationalError):
    """The server answers others, and this query took SLOW_SECONDS."""


class Connection(psycopg.Connection[Any]):
    @classmethod
    def connect(cls, conninfo: str = "", **options: Any) -> Self:
        """Probes the server before: libpq would wait for two seconds at least."""
        if not in_request.get():
            return super().connect(conninfo, **options)
        with BREAKER.guard(ServerSilentError):
            if is_silent(str(options.get("host") or ""), int(options.get("port") or 5432)):
                raise ServerSilentError("The database accepts no connection.")
            return super().connect(conninfo, **options)

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Every query, commit and rollback waits here."""
        if not in_request.get():
            try:
                return super().wait(gen, *args, **options)
            except Exception:
                self._leave_query(gen)
                raise
        try:
            with BREAKER.guard(ServerSilentError):
                return super().wait(self._end_if_silent(gen), *args, **options)
        except (ServerSilentError, QueryTooSlowError):
            self.close()  # the answer may still come, and belongs to nobody
            raise

    def _leave_query(self, gen: Any) -> None:
        """A time limit raises out of a query. psycopg ends one for Ctrl-C alone, and else could send nothing more."""
        if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
            try:
                self.cancel_safe(timeout=CANCEL_SECONDS)
                super().wait(gen, timeout=CANCEL_SECONDS)
            except psycopg.Error:
                pass  # QueryCanceled, or no answer
            finally:
                if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                    self.close()

    def _end_if_silent(self, gen: Any) -> Generator[Any, Any, Any]:
        """psycopg resumes it ten times a second while there is nothing to read."""
        began = asked = time.monotonic()
        try:
            ready = yield next(gen)
            while True:
                now = time.monotonic()
                if ready != waiting.Ready.NONE:
                    asked = now
                elif now - asked > SILENCE_SECONDS:
                    if is_silent(self.info.hostaddr or self.info.host, self.info.port):
                        raise ServerSilentError("The database does not answer.")
                    asked = time.monotonic()
                if now - began > SLOW_SECONDS:
                    with suppress(psycopg.Error):
                        self.cancel_safe(timeout=PROBE_SECONDS)
                    raise QueryTooSlowError(f"A query took more than {SLOW_SECONDS:.0f} s.")
                ready = yield gen.send(ready)
        except StopIteration as end:
            return end.value


class DatabaseWrapper(base.DatabaseWrapper):
    # Django takes connect() and the names of errors from here.
    Database = SimpleNamespace(**vars(psycopg) | {"connect": Connection.connect})  # type: ignore[assignment]
