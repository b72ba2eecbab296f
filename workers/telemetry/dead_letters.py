"""What RabbitMQ put aside: messages that expired unread, or came back too often.

It drops an expired message without any signal (docs/facts/servers.md#expired-without-signal), so that nobody would
count the skipped runs of a recurring task. Here each dead letter becomes a note on a run that did not happen, beside
those of practice 7. On Redis there are no dead letters: a worker that finds an expired message says so itself.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kombu import Queue

from workers.brokers.connection import connect, is_amqp
from workers.brokers.declarations import DEAD_LETTER_QUEUE
from workers.telemetry.recorder import note_missed


def collect(on_letter: Callable[[str, Mapping[str, Any]], None]) -> int:
    """Notes every dead letter and takes it away. Returns how many. Raises BrokerUnavailableError, RedisError.

    on_letter: called with the queue and the headers of each.

    A note comes before its message goes: a crash in between counts it twice, and loses none.
    """
    if not is_amqp():
        return 0
    collected = 0
    with connect() as connection:
        letters = Queue(DEAD_LETTER_QUEUE, channel=connection.default_channel)
        while letter := letters.get(no_ack=False):
            task, queue, outcome = what_died(letter.headers)
            note_missed(task, queue, outcome)
            on_letter(queue, letter.headers)
            letter.ack()
            collected += 1
    return collected


def what_died(headers: dict[str, Any]) -> tuple[str, str, str]:
    """The task of a message, its queue and its outcome, by its headers: RabbitMQ has added there why it is dead."""
    death = (headers.get("x-death") or [{}])[0]
    return headers.get("task", ""), death.get("queue", ""), "expired" if death.get("reason") == "expired" else "lost"
