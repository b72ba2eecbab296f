"""What both a plain worker and ours run: tasks that know nothing of us."""

import time

from celery import shared_task

STEPS = 100


@shared_task
def do_nothing() -> None: ...


@shared_task
def take_a_second() -> None:
    """It waits instead of computing: what a processor does meanwhile, and a longer second, is all overhead."""
    for _ in range(STEPS):
        time.sleep(1 / STEPS)
