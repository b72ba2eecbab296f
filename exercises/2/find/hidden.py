import time
import uuid

import pytest
from django_redis import get_redis_connection

from workers.practices import locks
from workers.telemetry.held_locks import PREFIX


def milliseconds_left(name):
    return get_redis_connection("locks").pttl(PREFIX + name)


def test_a_lock_ends_from_its_first_moment_on():
    """Whoever is killed at any moment, also the first one, leaves a lock that ends by itself."""
    name = f"exercise:{uuid.uuid4()}"
    with locks.exclusive(name, lease=30):
        left = milliseconds_left(name)
    assert left != -1, "Right after it is taken, the key has no timeout: it would stay for ever."
    assert 0 < left <= 30_000, f"Right after it is taken, the key has {left} ms left of 30,000."


def test_a_lock_outlives_its_lease_while_its_holder_works():
    """Work that takes longer than the lease keeps its lock, and nobody else gets it."""
    name = f"exercise:{uuid.uuid4()}"
    with locks.exclusive(name, lease=10) as lease:
        get_redis_connection("locks").pexpire(PREFIX + name, 6_000)
        give_up_at = time.monotonic() + 60
        while (left := milliseconds_left(name)) <= 6_000 and time.monotonic() < give_up_at:
            time.sleep(0.1)
        assert not lease.lost.is_set(), "The holder has lost its lease while it worked."
        assert left > 6_000, "The key has ended, or has no timeout, while its holder works."
        with pytest.raises(locks.Busy), locks.exclusive(name, lease=1):
            pass


def test_a_lock_is_free_after_the_work():
    """The end of the work frees the lock at once."""
    name = f"exercise:{uuid.uuid4()}"
    with locks.exclusive(name, lease=30):
        pass
    assert not locks.is_held(name), "The key is still there after the end of the block."
