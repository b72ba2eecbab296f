"""A beat with a lease that a test can wait for, and two callbacks of the leader, one of which fails."""

import os

from tests.faulty_tasks import write
from workers.runtime.leader import LeaderScheduler


class FastScheduler(LeaderScheduler):
    lease_seconds = int(os.environ.get("BEAT_LEASE", "3"))
    max_tick_seconds = int(os.environ.get("MAX_TICK_SECONDS", LeaderScheduler.max_tick_seconds))


def fail() -> None:
    write(f"failure of {os.getpid()}")
    raise ZeroDivisionError


def take_a_sample() -> None:
    write(f"sample of {os.getpid()}")
