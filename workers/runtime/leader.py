"""Of any number of beats one leads and the others wait: nothing is sent twice, and a dead leader is replaced.

The fault: two beats, as any deploy has for a moment, send every recurring task twice, and a single one that dies is
missed by nobody (docs/facts/celery.md#two-beats). Here each tick first renews a lock, and a beat that takes over reads
the schedule anew, so that what its predecessor sent is not due again. While the server of the locks is away nobody
leads. The leader leaves its heartbeat in the cache. In a thread of its own it calls `leader_duties` of the app's
configuration, {function's dotted name: seconds between two calls}: what must not wait in a queue.
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

from workers.practices.recurring import HEARTBEAT
from workers.runtime import heartbeat_file, pending_guard
from workers.telemetry.held_locks import PREFIX

log = logging.getLogger(__name__)

HEARTBEAT_TTL = 60  # seconds


@beat_init.connect
def take_over_signals(sender: Any, **_: object) -> None:
    """A SIGTERM ends beat from whatever it waits for, and what it interrupts is left in order.

    The fault: Celery's own handler writes the schedule and closes connections from inside the signal, which broke a
    read and kept beat alive without its lead (docs/facts/celery.md#beat-and-sigterm).
    """

    def end(*_: object) -> None:
        sender._is_shutdown.set()  # for whoever swallows the exit
        raise KeyboardInterrupt  # psycopg cancels its query for this one

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


class LeaderScheduler(DatabaseScheduler):  # type: ignore[misc]
    """django-celery-beat's scheduler, which sends nothing while another beat leads."""

    lease = 30  # seconds until a dead leader is replaced; a tick takes 20 when the broker is away

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = f"{socket.gethostname()} {os.getpid()}"
        self.lock: Lock = caches["locks"].lock(  # type: ignore[attr-defined]
            PREFIX + "beat", timeout=self.lease, blocking=False, thread_local=False
        )
        self.leads_until = 0.0  # by time.monotonic(); 0 for a beat that waits
        self.duties = threading.Thread(target=self.do_duties, name="leader's duties", daemon=True)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Sends what is due, if this beat leads. Returns the seconds until the next call."""
        pause: float = min(self.max_interval, self.lease / 3)
        heartbeat_file.touch()
        try:
            leads = self.renew() if self.leads_until else self.take_over()
        except RedisError as error:
            log.warning("beat_lock_unavailable error=%r", error)
            return pause
        if not leads:
            return pause
        cache.set(HEARTBEAT, {"beat": self.name, "at": time.time()}, HEARTBEAT_TTL)
        wish: float = super().tick(*args, **kwargs)
        return min(wish, pause)

    def renew(self) -> bool:
        """Puts the full lease back on the lock. False, and this beat waits again, if it has come to another one."""
        now = time.monotonic()
        try:
            self.lock.reacquire()
        except LockNotOwnedError:
            log.warning("beat_leadership_lost beat=%r", self.name)
            self.leads_until = 0.0
            return False
        self.leads_until = now + self.lease
        return True

    def take_over(self) -> bool:
        """Makes this beat the leader, if there is none."""
        if not self.lock.acquire(token=f"{self.name} {int(time.time())} {secrets.token_hex(8)}"):
            return False
        log.info("beat_leadership_acquired beat=%r", self.name)
        self._dirty.clear()
        self._initial_read, self._heap = True, None
        self.producer  # noqa: B018  # its first use waits for the broker, for ever: the lease may be over then
        if not self.duties.is_alive():
            self.duties.start()
        return self.renew()

    def reserve(self, entry: Any) -> Any:
        """Notes that an entry is sent. The parent leaves the old one in the schedule: were that made anew in the middle
        of a tick, as after a change in the admin, the entry would be due a second time."""
        reserved = self._schedule[entry.name] = super().reserve(entry)
        return reserved

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Sends one entry, unless its last message still waits (workers/runtime/pending_guard.py).

        Not after a tick that hung on the database for so long that another beat leads.
        """
        if time.monotonic() < self.leads_until and pending_guard.may_send(entry):
            super().apply_entry(entry, producer)

    def close(self) -> None:
        """The end of this beat: the next one need not wait for the lease."""
        super().close()
        try:
            self.lock.release()
        except (LockError, RedisError) as error:
            log.info("beat_lock_not_released error=%r", error)

    def do_duties(self) -> None:
        """Calls each duty when its time has come, as long as this beat leads. A failure is logged."""
        duties = self.app.conf.leader_duties
        due = dict.fromkeys(duties, 0.0)
        while True:
            for name, every in duties.items():
                if due[name] < time.monotonic() < self.leads_until:
                    due[name] = time.monotonic() + every
                    try:
                        import_string(name)()
                    except Exception:
                        log.exception("beat_callback_failed callback=%s", name)
                    finally:
                        connection.close()
            time.sleep(0.5)
