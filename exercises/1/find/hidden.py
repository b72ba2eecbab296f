from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

from celery import current_app
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from workers.brokers.connection import connect
from workers.queues import table
from workers.runtime import publishing

LIMIT = 3


@contextmanager
def own_queue(monkeypatch):
    """The name of a queue with a limit of 3, which nobody consumes. It is empty at the end."""
    name = f"exercise-{uuid4()}"
    monkeypatch.setitem(table().queues, name, replace(table().queues["video"], name=name, max_messages=LIMIT))
    monkeypatch.setitem(current_app.amqp.queues, name, Queue(name, Exchange(""), routing_key=name))
    try:
        yield name
    finally:
        with connect() as connection:
            connection.default_channel.queue_purge(name)


def count_taken(queue, publishes):
    """How many of them the queue takes before it refuses one."""
    for count in range(publishes):
        try:
            publishing.publish("a task", str(uuid4()), queue)
        except OperationalError:
            return count
    return publishes


def test_a_queue_takes_as_many_messages_as_its_limit(monkeypatch):
    """A queue with a limit of 3 takes three messages, and refuses the fourth."""
    with own_queue(monkeypatch) as queue:
        taken = count_taken(queue, LIMIT + 2)
        with connect() as connection:
            names = sorted(connection.default_channel.client.keys(f"{queue}*"))
    lists = ", ".join(repr(name) for name in names)
    assert taken == LIMIT, f"It took {taken} of 5. Valkey has these messages under: {lists}"
