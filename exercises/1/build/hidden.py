from dataclasses import replace
from uuid import uuid4

from celery import current_app
from kombu.exceptions import OperationalError

from workers.brokers.connection import connect
from workers.queues import table
from workers.runtime import publishing


def publishes(monkeypatch, messages, limit):
    """Whether a publish goes out to a list of its own with so many messages. It sends nothing."""
    name, sent = f"exercise-{uuid4()}", []
    queue = replace(table().queues["video"], name=name, max_messages=limit)
    monkeypatch.setitem(table().queues, name, queue)
    monkeypatch.setattr(current_app, "send_task", lambda *words, **options: sent.append(words))
    with connect() as connection:
        client = connection.default_channel.client
        for _ in range(messages):
            client.lpush(name, "a message")
        try:
            publishing.publish("a task", str(uuid4()), name)
        except OperationalError:
            return False
        finally:
            client.delete(name)
    return bool(sent)


def test_a_full_queue_refuses_a_publish(monkeypatch):
    """A publish to a queue that holds its limit raises OperationalError, and sends nothing."""
    assert not publishes(monkeypatch, 3, 3), "A queue with 3 of 3 messages took one more."
    assert not publishes(monkeypatch, 4, 3), "A queue with 4 of 3 messages took one more."


def test_a_queue_with_room_takes_it(monkeypatch):
    """A publish to a queue with room goes out."""
    assert publishes(monkeypatch, 2, 3), "A queue with 2 of 3 messages took none."
    assert publishes(monkeypatch, 0, 3), "An empty queue took none."


def test_a_reason_is_no_limit(monkeypatch):
    """A queue whose max_messages is a reason has no limit."""
    assert publishes(monkeypatch, 3, "one message a day"), "A queue with a reason for no limit took none."
