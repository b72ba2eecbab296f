"""What a test's beat runs with: a lease that a test can wait for, and two duties, one of which fails."""

import os

from tests.faulty_tasks import write
from workers.runtime.leader import LeaderScheduler


class HastyScheduler(LeaderScheduler):
    lease = 3


def fail() -> None:
    write(f"failure of {os.getpid()}")
    raise ZeroDivisionError


def take_a_sample() -> None:
    write(f"sample of {os.getpid()}")
