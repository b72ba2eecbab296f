"""One beat leads and the others wait: nothing is sent twice (docs/facts/celery.md#two-beats).

Nobody leads while the server of the locks is away. A thread of the leader renews its lease, because a tick may take
longer: so the lease is short, and a dead leader is soon replaced. Another thread calls `leader_callbacks` of the app's
configuration, {dotted name of a function: seconds between two calls}.
Not public in django-celery-beat 2.9: `_dirty`, `_initial_read` and `_schedule`; in Celery 5.7: `_heap` and
`_is_shutdown`.
"""

import logging
import os
import secrets
import signal
import socket
import threading
import time
from typing import Any

from celery.signals import beat_init
from django.core.cache import cache, caches
from django.db import connection
from django.utils.module_loading import import_string
from django_celery_beat.schedulers import DatabaseScheduler
from redis.exceptions import LockError, LockNotOwnedError, RedisError
from redis.lock import Lock

from workers.practices import recurring
from workers.runtime import heartbeat_file, pending_guard
from workers.telemetry.held_locks import BEAT, PREFIX

log = logging.getLogger(__name__)

HEARTBEAT_TTL = 60  # seconds
WAIT_SECONDS = 1  # between two tries of a beat that waits for the lead


@beat_init.connect
def install_signal_handlers(sender: Any, **_: object) -> None:
    """Celery's own handler can keep beat alive without its lead (docs/facts/celery.md#beat-and-sigterm)."""

    def stop(*_: object) -> None:
        sender._is_shutdown.set()  # for code that swallows the exception
        raise KeyboardInterrupt  # psycopg cancels its query for this one

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


class LeaderScheduler(DatabaseScheduler):  # type: ignore[misc]
    lease_seconds = 10  # until a dead leader is replaced
    max_tick_seconds = 30  # a leader that hangs for longer is not renewed; a tick takes 20 while the broker is away

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = f"{socket.gethostname()} {os.getpid()}"
        self.lock: Lock = caches["locks"].lock(  # type: ignore[attr-defined]
            PREFIX + BEAT, timeout=self.lease_seconds, blocking=False, thread_local=False
        )
        self.lease_ends_at = 0.0  # by time.monotonic(); 0 for a beat that waits
        self.renewing = threading.Lock()
        self.ticked_at = time.monotonic()
        self.lease_thread = threading.Thread(target=self.keep_lease, name="leader lease", daemon=True)
        self.callback_thread = threading.Thread(target=self.run_callbacks, name="leader callbacks", daemon=True)

    def setup_schedule(self) -> None:
        """Writes nothing at the start: a beat that waits may be of another release than the leader."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Returns the seconds until the next call."""
        pause: float = min(self.max_interval, self.lease_seconds / 3)
        heartbeat_file.touch()
        self.ticked_at = time.monotonic()
        try:
            is_leader = self.renew_lease() or self.acquire_leadership()
        except RedisError as error:
            log.warning("beat_lock_unavailable error=%r", error)
            return pause
        if not is_leader:
            return WAIT_SECONDS
        cache.set(recurring.HEARTBEAT, {"beat": self.name, "at": time.time()}, HEARTBEAT_TTL)
        seconds: float = super().tick(*args, **kwargs)
        return min(seconds, pause)

    def renew_lease(self) -> bool:
        """False if this beat does not lead. Raises RedisError."""
        with self.renewing:
            if not self.lease_ends_at:
                return False
            now = time.monotonic()
            try:
                self.lock.reacquire()
            except LockNotOwnedError:
                log.warning("beat_leadership_lost beat=%r", self.name)
                self.lease_ends_at = 0.0
                return False
            self.lease_ends_at = now + self.lease_seconds
            return True

    def keep_lease(self) -> None:
        """In a thread, which leaves signals to the main thread (docs/facts/servers.md#sigterm-in-a-thread)."""
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            time.sleep(self.lease_seconds / 4)
            if time.monotonic() - self.ticked_at < self.max_tick_seconds:
                try:
                    self.renew_lease()
                except RedisError as error:
                    log.warning("beat_lock_unavailable error=%r", error)

    def acquire_leadership(self) -> bool:
        """Writes this release's entries, and reads the schedule anew: this beat sends nothing that another one sent."""
        with self.renewing:
            now = time.monotonic()
            if not self.lock.acquire(token=f"{self.name} {int(time.time())} {secrets.token_hex(8)}"):
                return False
            self.lease_ends_at = now + self.lease_seconds
        log.info("beat_leadership_acquired beat=%r", self.name)
        if not self.lease_thread.is_alive():
            self.lease_thread.start()
        self._dirty.clear()
        recurring.enable_entries()  # first: a disabled row that is saved forgets its last run, and so what is overdue
        super().setup_schedule()
        self._initial_read, self._heap = True, None
        self.producer  # noqa: B018  # its first use waits for the broker without a limit: the lease may end meanwhile
        if not self.callback_thread.is_alive():
            self.callback_thread.start()
        return self.renew_lease()

    def reserve(self, entry: Any) -> Any:
        """The parent keeps the old entry, which would be due again if the heap is rebuilt within a tick."""
        reserved = self._schedule[entry.name] = super().reserve(entry)
        return reserved

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """A tick that hung for longer than the lease sends nothing more: another beat may lead."""
        if time.monotonic() < self.lease_ends_at and pending_guard.try_mark_pending(entry):
            super().apply_entry(entry, producer)

    def close(self) -> None:
        super().close()
        try:
            with self.renewing:
                self.lease_ends_at = 0.0
                self.lock.release()
        except (LockError, RedisError) as error:
            log.info("beat_lock_not_released error=%r", error)

    def run_callbacks(self) -> None:
        callbacks = self.app.conf.leader_callbacks
        due_at = dict.fromkeys(callbacks, 0.0)
        while True:
            for name, interval_seconds in callbacks.items():
                if due_at[name] < time.monotonic() < self.lease_ends_at:
                    due_at[name] = time.monotonic() + interval_seconds
                    try:
                        import_string(name)()
                    except Exception:
                        log.exception("beat_callback_failed callback=%s", name)
                    finally:
                        connection.close()
            time.sleep(0.5)
