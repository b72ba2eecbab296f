"""Tasks that a plain worker and ours both run."""

import time

from celery import shared_task

STEPS = 100


@shared_task
def do_nothing() -> None: ...


@shared_task
def sleep_one_second() -> None:
    """It does not compute, so any CPU time, and any time beyond the second, is overhead."""
    for _ in range(STEPS):
        time.sleep(1 / STEPS)
