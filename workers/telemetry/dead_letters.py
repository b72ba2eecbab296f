"""RabbitMQ's dead letters: an expired message gives no signal (docs/facts/servers.md#expired-without-signal)."""

from collections.abc import Callable, Mapping
from typing import Any

from kombu import Queue

from workers.brokers.connection import connect, is_amqp
from workers.brokers.declarations import DEAD_LETTER_QUEUE
from workers.telemetry.recorder import record_missed_run


def collect_dead_letters(on_letter: Callable[[str, Mapping[str, Any]], None]) -> int:
    """Returns how many. A crash may count a letter twice, and loses none.

    on_letter: gets the queue and the headers. Raises BrokerUnavailableError, also if the server of the locks is away.
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
    """Returns the task, the queue and the outcome."""
    death = (headers.get("x-death") or [{}])[0]
    outcome = "expired" if death.get("reason") == "expired" else "lost"
    return headers.get("task", ""), death.get("queue", ""), outcome
