from contextlib import nullcontext
from uuid import uuid4

import pytest
from django.utils import timezone

from mediaapp.models import User
from workers.jobs import RetryLater, attempt, turns
from workers.models import Job
from workers.queues import table

TASK = "workers.highmem.tasks.import_catalogue"


def imports(label, *states):
    """Jobs of one new owner, in the order of their clicks."""
    owner = User.objects.create(username=f"hidden-{uuid4().hex}", email=f"{uuid4().hex}@example.com")
    queue, arguments, now = table().queue_of(TASK), {"table": label}, timezone.now()
    given = {"task": TASK, "queue": queue, "owner": owner, "arguments": arguments, "queued_at": now, "started_at": now}
    return [Job.objects.create(state=state, **given) for state in states]


def test_an_owners_next_import_begins_when_the_last_one_has_ended(db):
    """While an owner's import runs, no other of the same owner is due."""
    running, waiting = imports("hidden.Item", Job.State.RUNNING, Job.State.QUEUED)
    queue = table().queues[running.queue]
    due = list(turns.due(queue, owner=running.owner_id))
    assert not due, "An owner's next import is published while the last one still runs."
    Job.objects.filter(pk=running.pk).update(state=Job.State.DONE)
    assert list(turns.due(queue, owner=running.owner_id)) == [waiting], "The next one does not come after the last one."


def writing(job, monkeypatch):
    monkeypatch.setattr(attempt, "wake_writer", lambda queue: None)
    return attempt.Attempt(job, nullcontext()).writing_to(job.arguments["table"])


def test_two_imports_of_one_owner_never_write_side_by_side(db, monkeypatch):
    """The rows of an owner are locked: a second import that starts all the same has to come again."""
    first, second = imports(f"hidden.{uuid4().hex}", Job.State.RUNNING, Job.State.RUNNING)
    with writing(first, monkeypatch):
        try:
            with writing(second, monkeypatch):
                pytest.fail("Two imports of one owner hold a lock of the same table at once.")
        except RetryLater:
            pass
    with writing(second, monkeypatch):
        pass


def test_the_imports_of_two_owners_write_side_by_side(db, monkeypatch):
    """Owners have no row in common, so their imports do not wait for each other."""
    label = f"hidden.{uuid4().hex}"
    (mine,), (yours,) = imports(label, Job.State.RUNNING), imports(label, Job.State.RUNNING)
    with writing(mine, monkeypatch):
        try:
            with writing(yours, monkeypatch):
                pass
        except RetryLater:
            pytest.fail("An owner's import waits for that of another one.")
