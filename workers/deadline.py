"""Asks several servers in parallel: all answers within one deadline, whichever server is away.

The clients' own timeouts would add up (docs/facts/servers.md#frozen-server).
"""

import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from threading import BoundedSemaphore, Thread
from typing import TypeVar

from django.db import connections

Answer = TypeVar("Answer")

DEADLINE_SECONDS = 1.5  # for all questions together
MAX_PARALLEL = 10  # questions in this process: each may hold a connection to the database
SLOTS = BoundedSemaphore(MAX_PARALLEL)


def run_with_deadline(
    questions: Mapping[str, Callable[[], Answer]], slots: BoundedSemaphore = SLOTS, *, seconds: float | None = None
) -> dict[str, Answer | Exception]:
    """Returns, by name, a value, what the question raised, or a TimeoutError after `seconds`, else DEADLINE_SECONDS.

    slots: your own, if you must not wait for other callers.
    """
    answers: dict[str, Answer | Exception] = {}
    seconds = DEADLINE_SECONDS if seconds is None else seconds
    deadline = time.monotonic() + seconds

    def ask(name: str, question: Callable[[], Answer]) -> None:
        if not slots.acquire(timeout=seconds):
            return
        try:
            answers[name] = question()
        except Exception as error:  # any error is an answer
            answers[name] = error
        finally:
            connections.close_all()  # this thread's
            slots.release()

    # Daemons: a stuck thread does not hold up the end of the process. Its client's timeout ends it.
    threads = [Thread(target=copy_context().run, args=(ask, *item), daemon=True) for item in questions.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    timeout = TimeoutError(f"No answer within {seconds:.1f} s.")
    return {name: answers.get(name, timeout) for name in questions}
