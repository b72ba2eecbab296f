"""Threads that go on whatever is away, and never delay the end of their process."""

import logging
import signal
import time
from collections.abc import Callable
from threading import Thread

from django.db import DatabaseError, close_old_connections

from workers import circuit_breaker

log = logging.getLogger(__name__)
LOG_SECONDS = 60  # between two lines about a database that is away


def start_thread(name: str, seconds: float, function: Callable[[], object]) -> None:
    """Calls the function for ever, `seconds` after its last return. What it raises is logged."""
    Thread(target=_repeat, args=(name, seconds, function), name=name, daemon=True).start()


def _repeat(name: str, seconds: float, function: Callable[[], object]) -> None:
    # SIGTERM is for the main thread, whom it wakes (docs/facts/servers.md#sigterm-in-a-thread).
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    circuit_breaker.in_request.set(True)  # a frozen database ends a query soon, instead of never
    log_again_at = 0.0  # by time.monotonic()
    while True:
        try:
            function()
        except DatabaseError as error:
            if time.monotonic() >= log_again_at:
                log.warning("monitor_database_away thread=%r error=%r", name, error)
                log_again_at = time.monotonic() + LOG_SECONDS
        except Exception:
            log.exception("monitor_failed thread=%r", name)
        finally:
            close_old_connections()
        time.sleep(seconds)
