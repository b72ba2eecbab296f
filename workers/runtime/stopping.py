"""A worker that is told to stop gives its jobs back at once, and is gone before its platform kills it.

The fault: a platform sends SIGTERM to every process of a worker, and SIGKILL 30 s later. By itself Celery then breaks
each task off at any bytecode, or waits for a long one until it is killed, or sleeps for a fixed time of which the tasks
know nothing (docs/facts/celery.md#redelivery, docs/facts/celery.md#sigterm-to-every-process). Here SIGTERM, or the
first Ctrl-C, in a worker's main process:
1. takes no new message, and sets a flag that every report of a running job asks for: the job goes back to its queue;
2. lets what does not report come to its own end, for GRACE seconds;
3. then cancels what is left by Celery's cold shutdown (SystemExit in the task, its message back to the broker).
The pool's processes hear no SIGTERM: REMAP_SIGTERM=SIGQUIT is in their environment (Procfile). Where they are not
forked (macOS) they do not see the flag either, and their tasks have until the end of step 2.
Not public in Celery 5.7: `celery.worker.state.should_stop`, and that its handler of SIGQUIT is the cold shutdown.
"""

import mmap
import signal
from types import FrameType
from typing import Any

from celery.worker import state

GRACE = 20  # seconds; a platform gives 30, and the cold shutdown takes 2

_asked = mmap.mmap(-1, 1)  # shared with every process that is forked later


class Stopping(Exception):
    """The worker is stopping: the work is to end here, and goes on from its checkpoint in another one."""


def check() -> None:
    """Raises Stopping once this process's worker was told to stop."""
    if _asked[0]:
        raise Stopping


def take_over_signals(sender: Any, **_: object) -> None:
    """A receiver of `worker_ready`, whose sender is the worker's consumer: Celery has set its own handlers by then."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    # A signal does not wake the loop of an idle worker on RabbitMQ (docs/facts/celery.md#idle-loop-on-rabbitmq).
    sender.timer.call_repeatedly(1.0, lambda: None)


def _stop(signum: int, frame: FrameType | None) -> None:
    if not _asked[0]:
        _asked[0] = 1
        state.should_stop = 0  # type: ignore[assignment]  # the exit code of a warm shutdown
        signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGQUIT))
        signal.alarm(GRACE)
    elif signum == signal.SIGINT:
        signal.raise_signal(signal.SIGALRM)  # a second Ctrl-C: somebody is in a hurry
