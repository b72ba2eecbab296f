from contextlib import contextmanager, nullcontext
from decimal import Decimal
from types import SimpleNamespace

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone

from mediaapp.models import CatalogueItem
from workers.highmem import tasks
from workers.jobs.attempt import Attempt
from workers.models import Job
from workers.queues import table

NAME = "workers.highmem.tasks.reprice_catalogue"
IMPORT = "workers.highmem.tasks.import_catalogue"


class Trace:
    """Stands for the job and the work: what is open while prices change."""

    def __init__(self):
        self.open, self.seen = [], None
        self.owner_id, self.result, self.checkpoint = 1, {}, {}
        self.arguments = {"table": "mediaapp.CatalogueItem", "percent": 10}

    @contextmanager
    def entered(self, name, value=None):
        self.open.append(name)
        try:
            yield value
        finally:
            self.open.remove(name)

    def working_on(self, job_id):
        return self.entered("job", self)

    def writing_to(self, label):
        return self.entered(f"turn of {label}")

    def save(self, checkpoint, result):
        self.checkpoint, self.result = checkpoint, result

    def report(self, *arguments, **named):
        pass

    def reprice(self, *arguments, **named):
        self.seen = list(self.open)
        return 1


def test_a_change_takes_the_turn_of_an_import(monkeypatch):
    """While prices change, the job has the turn that an import of the same owner would take."""
    trace = Trace()
    monkeypatch.setattr(tasks.jobs, "working_on", trace.working_on)
    monkeypatch.setattr(tasks.reprice, "reprice", trace.reprice)
    tasks.reprice_catalogue.run("an id")
    assert trace.seen is not None, "No price was changed."
    assert "turn of mediaapp.CatalogueItem" in trace.seen, f"While prices change, only {', '.join(trace.seen)} is held."
    assert trace.open == [], f"After the change, {', '.join(trace.open)} is still held."


def test_an_owners_writers_keep_the_order_of_the_clicks():
    """Imports and changes wait in one queue, whose owners' jobs run one at a time."""
    mine, imports = table().queue_of(NAME), table().queue_of(IMPORT)
    assert mine == imports, f"Changes wait in {mine}, and imports in {imports}: their order is chance."
    assert table().queues[mine].serialize_by == "table", f"{mine} does not serialize the writers of a table."


class Killed(BaseException):
    """Stands for SIGKILL: the database rolls back what is not committed."""


class Killer:
    """Kills a run after so many statements."""

    def __init__(self, statements):
        self.left = statements

    def __call__(self, execute, sql, params, many, context):
        answer = execute(sql, params, many, context)
        self.left -= 1
        if not self.left:
            raise Killed
        return answer


def prices_after_a_kill(monkeypatch, statements):
    """(the prices of three rows after a second run, whether the first one was killed)."""
    owner = get_user_model().objects.create(username="exercise-4b")
    CatalogueItem.objects.bulk_create(
        CatalogueItem(owner=owner, external_id=str(number), title="A book", price=Decimal("10.00"))
        for number in range(3)
    )
    arguments = {"table": CatalogueItem._meta.label, "percent": 10}
    row = {"task": NAME, "queue": table().queue_of(NAME), "owner": owner, "arguments": arguments}
    job = Job.objects.create(state=Job.State.RUNNING, attempt=1, queued_at=timezone.now(), **row)
    lease = SimpleNamespace(check=lambda: None)
    monkeypatch.setattr(Attempt, "writing_to", lambda attempt, label: nullcontext())
    monkeypatch.setattr(
        tasks.jobs, "working_on", lambda job_id: nullcontext(Attempt(Job.objects.get(pk=job_id), lease))
    )
    was_killed = False
    try:
        with connection.execute_wrapper(Killer(statements)):
            tasks.reprice_catalogue.run(str(job.pk))
    except Killed:
        was_killed = True
    tasks.reprice_catalogue.run(str(job.pk))
    return sorted(CatalogueItem.objects.filter(owner=owner).values_list("price", flat=True)), was_killed


def test_a_run_that_is_killed_raises_no_row_twice(db, monkeypatch):
    """A run is killed after any of its statements, and comes back: in the end each price has risen once."""
    statements, was_killed = 0, True
    while was_killed:
        statements += 1
        with transaction.atomic():
            prices, was_killed = prices_after_a_kill(monkeypatch, statements)
            transaction.set_rollback(True)
        if was_killed:
            found = ", ".join(map(str, prices))
            assert prices == [Decimal("11.00")] * 3, f"Prices of 10.00, killed after statement {statements}: {found}."
