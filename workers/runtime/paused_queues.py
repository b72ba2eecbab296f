"""A worker does not consume a queue that staff have paused (workers/telemetry/pauses.py).

Remote control is off, so a worker asks every 2 s, with its heartbeat. It also asks before it consumes for the first
time and after each lost connection, so that it takes no message first. What it has taken, it runs to the end
(docs/facts/celery.md#pause-of-a-queue).
Not public in Celery 5.7: `Consumer.connect`, which runs before the step that consumes, `Consumer.task_consumer`,
`Consumer.cancel_task_queue`, `Consumer.add_task_queue`; `Queues.consume_from`, `Queues.deselect`, `Queues.select_add`.
"""

import logging
from typing import Any

from celery import bootsteps
from redis.exceptions import RedisError

from workers.runtime.quiet_consumer import QuietConsumer
from workers.telemetry import pause_copy

log = logging.getLogger(__name__)


class PausableConsumer(QuietConsumer):
    """own_queues: all of the worker's --queues. paused_queues: those of them that it does not consume now."""

    task_consumer: Any  # the stubs lack it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own_queues: list[str] = sorted(self.app.amqp.queues.consume_from)
        self.paused_queues: list[str] = []

    def connect(self) -> Any:
        connection = super().connect()
        try:
            self._update()
        except RedisError as error:
            log.warning("pauses_unknown error=%r", error)
        queues = self.app.amqp.queues
        for name in self.own_queues:
            if name in self.paused_queues:
                queues.deselect([name])
            else:
                queues.select_add(queues[name])
        return connection

    def follow_pauses(self) -> None:
        """Raises RedisError. An error of the broker passes to the worker, which connects again."""
        if self.blueprint.state != bootsteps.RUN:  # type: ignore[attr-defined]  # the stubs lack it
            return  # timers go on while the pool of a stopping worker drains, and it must consume nothing more
        self._update()
        for name in self.own_queues:
            is_consumed = self.task_consumer.consuming_from(name)
            if is_consumed and name in self.paused_queues:
                self.cancel_task_queue(name)
            elif not is_consumed and name not in self.paused_queues:
                self.add_task_queue(name)

    def _update(self) -> None:
        """Without a copy, what was last known stays."""
        if (copy := pause_copy.read()) is None:
            return
        for name in self.own_queues:
            if name in copy and name not in self.paused_queues:
                log.info("queue_paused queue=%s by=%r", name, copy[name][0])
            elif name in self.paused_queues and name not in copy:
                log.info("queue_resumed queue=%s", name)
        self.paused_queues = [name for name in self.own_queues if name in copy]
