from decimal import Decimal

from workers.telemetry import queue_flow


def seconds_to_empty(*, arrived, finished, messages):
    """Of a queue with so many messages after 120 s. The database's sums are Decimals."""
    sums = Decimal(arrived), Decimal(finished), Decimal(arrived - finished), Decimal(120)
    return queue_flow._flow(*sums, messages).seconds_to_empty


def test_a_queue_that_shrinks_says_when_it_is_empty():
    """A queue that shrank from 30 to 20 in 120 s is empty in 240 s."""
    found = seconds_to_empty(arrived=0, finished=10, messages=20)
    assert found is not None, "It says nothing."
    assert 239 < found < 241, f"It says {found:.0f} s."


def test_what_arrives_meanwhile_counts():
    """If 40 were finished in 120 s and 30 came, it shrank by 10, and 20 are left for 240 s."""
    found = seconds_to_empty(arrived=30, finished=40, messages=20)
    assert found is not None, "It says nothing."
    assert 239 < found < 241, f"It says {found:.0f} s, as if nothing came meanwhile."


def test_a_queue_that_grows_is_never_empty():
    """A queue that grows, or keeps its length, has no time to empty."""
    for arrived in (10, 20):
        found = seconds_to_empty(arrived=arrived, finished=10, messages=20)
        assert found is None, f"With {arrived} that came and 10 that were finished it says {found:.0f} s."
