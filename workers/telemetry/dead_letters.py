"""Messages that RabbitMQ put into the dead-letter queue: expired, or delivered too often.

RabbitMQ drops an expired message without a signal (docs/facts/servers.md#expired-without-signal), so nothing else would
count a recurring task's skipped runs. Redis has no dead letters: a worker drops an expired message and says so.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kombu import Queue

from workers.brokers.connection import connect, is_amqp
from workers.brokers.declarations import DEAD_LETTER_QUEUE
from workers.telemetry.recorder import record_missed_run


def collect_dead_letters(on_letter: Callable[[str, Mapping[str, Any]], None]) -> int:
    """Records each dead letter as a run that did not happen, and deletes it. Returns how many.

    on_letter: called with each one's queue and headers. A crash in between counts a letter twice and loses none.
    Raises BrokerUnavailableError, RedisError.
    """
    if not is_amqp():
        return 0
    collected = 0
    with connect() as connection:
        letters = Queue(DEAD_LETTER_QUEUE, channel=connection.default_channel)
        while letter := letters.get(no_ack=False):
            task, queue, outcome = parse_headers(letter.headers)
            record_missed_run(task, queue, outcome)
            on_letter(queue, letter.headers)
            letter.ack()
            collected += 1
    return collected


def parse_headers(headers: dict[str, Any]) -> tuple[str, str, str]:
    """The task of a dead letter, its queue and its outcome. RabbitMQ writes its reason into `x-death`."""
    death = (headers.get("x-death") or [{}])[0]
    outcome = "expired" if death.get("reason") == "expired" else "lost"
    return headers.get("task", ""), death.get("queue", ""), outcome
