"""A worker that gets SIGTERM returns its jobs at once, and exits before its platform sends SIGKILL.

The signal stops the delivery of messages, and sets a flag that each report of a running job reads. After GRACE_SECONDS
Celery's cold shutdown raises SystemExit in the tasks that do not report, and returns their messages
(docs/facts/celery.md#graceful-stop). The pool's processes ignore SIGTERM only because of REMAP_SIGTERM=SIGQUIT in
their environment (docs/facts/celery.md#remap-sigterm). Where they are not forked (macOS) they do not see the flag.
Not public in Celery 5.7: `celery.worker.state.should_stop`, that its handler of SIGQUIT is the cold shutdown,
and `maintain_pool` of the pool.
"""

import mmap
import signal
from types import FrameType
from typing import Any

from celery.worker import state

GRACE_SECONDS = 20  # a platform gives 30, and the cold shutdown takes 2

_stop_requested = mmap.mmap(-1, 1)  # shared with every process that is forked later


class WorkerStopping(Exception):
    """The work ends here, and another worker continues it at its checkpoint."""


def check_stop_requested() -> None:
    if _stop_requested[0]:
        raise WorkerStopping


def install_signal_handlers(sender: Any, **_: object) -> None:
    """A receiver of `worker_ready`, by when Celery has set its own handlers."""
    signal.signal(signal.SIGTERM, _handle_stop_signal)
    signal.signal(signal.SIGINT, _handle_stop_signal)
    # A signal does not wake the loop of an idle worker on RabbitMQ (docs/facts/celery.md#idle-loop-on-rabbitmq), nor
    # does the death of a later pool process (docs/facts/celery.md#lost-pool-process).
    sender.timer.call_repeatedly(1.0, sender.pool.maintain_pool)


def _handle_stop_signal(signum: int, frame: FrameType | None) -> None:
    if not _stop_requested[0]:
        _stop_requested[0] = 1
        state.should_stop = 0  # type: ignore[assignment]  # the exit code of a warm shutdown
        signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGQUIT))
        signal.alarm(GRACE_SECONDS)
    elif signum == signal.SIGINT:
        signal.raise_signal(signal.SIGALRM)  # a second Ctrl-C ends the grace
