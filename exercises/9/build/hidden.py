from uuid import uuid4

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone

from workers.jobs import lifecycle
from workers.models import Job
from workers.queues import QueueKind, load_tasks, table

FORMER = "workers.default.tasks.export_catalogue"


def export_task():
    """The one that runs exports from now on."""
    names = [name for name in load_tasks() if name.endswith(".export_catalogue") and name != FORMER]
    assert names, "No worker but default has a task export_catalogue."
    return names[0]


def test_the_export_runs_among_the_hungry():
    """Exports have a hungry queue, on a worker on which nobody waits for a mail."""
    queue = table().queues[table().queue_of(export_task())]
    worker = next(each for each in table().workers if queue in each.queues)
    assert queue.kind == QueueKind.HUNGRY, f"The queue {queue.name} is {queue.kind}."
    assert not worker.is_time_sensitive, f"The {worker.name} worker has a time-sensitive queue too."


def test_an_export_may_take_minutes():
    """The task has time for a large catalogue: 300 s at least before it is stopped."""
    limit = load_tasks()[export_task()].soft_time_limit
    assert limit is not None, "It sets no soft_time_limit, so the app's limit of some seconds holds."
    assert limit >= 300, f"It is stopped after {limit} s."


def test_a_new_export_goes_there(db):
    """`manage.py export_catalogue` creates its job for that task, in that queue."""
    user = get_user_model().objects.create(username=f"exporter-{uuid4()}", email=f"{uuid4()}@example.com")
    call_command("export_catalogue", user.username)
    job = Job.objects.get(owner_id=user.pk)
    assert job.task == export_task(), f"The job is for {job.task}."
    assert job.queue == table().queue_of(job.task), f"The job is in {job.queue}."


def test_an_export_of_the_older_release_moves(db, monkeypatch):
    """A job that the older release has queued for the default worker is handed on when its message comes, not lost."""
    published = []
    monkeypatch.setattr(lifecycle, "publish", published.append)
    row = {"queue": "default", "arguments": {"table": "mediaapp.CatalogueItem"}, "queued_at": timezone.now()}
    job = Job.objects.create(task=FORMER, state=Job.State.QUEUED, **row)
    former = load_tasks().get(FORMER)
    assert former is not None, f"No worker knows {FORMER}, for which messages wait: each of them would be dropped."
    former.run(str(job.pk))
    job.refresh_from_db()
    assert (job.task, job.state) == (export_task(), Job.State.QUEUED), f"The job is {job.state}, for {job.task}."
    assert [each.pk for each in published] == [job.pk], "No message was published for the job with its new task."
