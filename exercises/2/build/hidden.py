import threading

import pytest
from django_redis import get_redis_connection

from workers.highmem import digests, tasks

FIRST, SECOND = 987_654_321, 987_654_322  # owners whom nobody has
DEADLINE_SECONDS = 60


class Run(threading.Thread):
    """Runs the task for an owner, and stands still in the middle of its work."""

    def __init__(self, owner_id):
        super().__init__(daemon=True)
        self.owner_id, self.began, self.may_end = owner_id, threading.Event(), threading.Event()

    def run(self):
        tasks.refresh_digest(self.owner_id)


@pytest.fixture
def counted(monkeypatch):
    """The owners whose failed jobs are counted, in order. The first run of FIRST waits until it may end."""
    found, first = [], Run(FIRST)

    def count_failed(owner_id):
        found.append(owner_id)
        if threading.current_thread() is first:
            first.began.set()
            first.may_end.wait(DEADLINE_SECONDS)
        return 0

    monkeypatch.setattr(digests, "count_failed", count_failed)
    first.start()
    try:
        assert first.began.wait(DEADLINE_SECONDS), "refresh_digest() does not come to digests.count_failed()."
        yield found, first
    finally:
        first.may_end.set()
        first.join()


def run_beside(owner_id):
    try:
        tasks.refresh_digest(owner_id)
    except Exception as error:
        return repr(error)
    return "no error"


def test_no_two_runs_of_one_owner_meet(counted):
    """While an owner's digest is made, a second run for that owner does nothing."""
    found, _ = counted
    second = threading.Thread(target=run_beside, args=(FIRST,), daemon=True)
    second.start()
    second.join(DEADLINE_SECONDS / 3)
    assert not second.is_alive(), "The second run waits for the first one, and occupies a process of the worker."
    assert found == [FIRST], "The second run counted beside the first one."


def test_another_owner_does_not_wait(counted):
    """While an owner's digest is made, another owner's is made too."""
    found, _ = counted
    error = run_beside(SECOND)
    assert found == [FIRST, SECOND], f"The run of another owner did nothing: {error}."


def test_the_lock_has_the_owner_in_its_name_and_ends_by_itself(counted):
    """A key with the owner's id is held meanwhile, and it has a timeout."""
    redis = get_redis_connection("locks")
    left = {key.decode(): redis.pttl(key) for key in redis.scan_iter(match=f"*{FIRST}*")}
    assert left, f"No key on the server of the locks has {FIRST} in its name."
    assert -1 not in left.values(), f"A key has no timeout: {left}."


def test_the_lock_is_free_after_the_run(counted):
    """After a run, the next one for the same owner works."""
    found, first = counted
    first.may_end.set()
    first.join()
    error = run_beside(FIRST)
    assert found == [FIRST, FIRST], f"The next run did nothing: {error}."
