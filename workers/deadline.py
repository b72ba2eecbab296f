"""Questions to servers, asked side by side: all answers within one deadline, whichever server is away.

Every client here has limits of its own, but they add up: a server that accepts and then says nothing costs 2 s for each
connection to the database, and 2 s for each look into the cache (docs/facts/servers.md#frozen-server).
"""

import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from threading import BoundedSemaphore, Thread
from typing import TypeVar

from django.db import connections

Answer = TypeVar("Answer")

SECONDS = 1.5  # for all questions together
MAX_PARALLEL = 10  # questions in this process: each may hold a connection to the database
SLOTS = BoundedSemaphore(MAX_PARALLEL)


def run_with_deadline(
    questions: Mapping[str, Callable[[], Answer]], slots: BoundedSemaphore = SLOTS
) -> dict[str, Answer | Exception]:
    """Asks each in a thread. Returns, by name, its value, what it raised, or a TimeoutError after SECONDS.

    slots: how many questions at a time, for those who must not wait for all others.
    """
    answers: dict[str, Answer | Exception] = {}
    deadline = time.monotonic() + SECONDS

    def ask(name: str, question: Callable[[], Answer]) -> None:
        if not slots.acquire(timeout=SECONDS):
            return
        try:
            answers[name] = question()
        except Exception as error:  # whatever it is, it is the answer
            answers[name] = error
        finally:
            connections.close_all()  # the thread's own
            slots.release()

    # Daemons: one that is stuck must not hold up the end of the process. It ends with its client's limit.
    threads = [Thread(target=copy_context().run, args=(ask, *item), daemon=True) for item in questions.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = TimeoutError(f"No answer within {SECONDS} s.")
    return {name: answers.get(name, late) for name in questions}
