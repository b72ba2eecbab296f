from kombu.exceptions import OperationalError
from kombu.transport.redis import Channel

from workers.queues import table
from workers.runtime import publishing


class FullChannel(Channel):
    """A channel whose lists all hold 10,000 messages."""

    def __init__(self):
        self.client = self

    def llen(self, queue):
        return 10_000


def is_refused(queue):
    try:
        publishing._refuse_if_full(FullChannel(), queue)
    except OperationalError:
        return True
    return False


def test_each_limit_of_the_table_is_a_number():
    """Each queue of the table has a number as its limit: none of ours has a reason for no limit."""
    texts = {
        name: queue.max_messages for name, queue in table().queues.items() if not isinstance(queue.max_messages, int)
    }
    assert not texts, f"These are no numbers, so they limit nothing: {texts}"


def test_a_full_queue_refuses_a_publish():
    """A publish to a queue that holds 10,000 messages is refused."""
    open_queues = [name for name in table().queues if not is_refused(name)]
    assert not open_queues, f"With 10,000 messages, these still take one more: {', '.join(open_queues)}."
