from contextlib import contextmanager

from workers.highmem import tasks
from workers.queues import table

NAME = "workers.highmem.tasks.reprice_catalogue"
IMPORT = "workers.highmem.tasks.import_catalogue"


class Trace:
    """Stands for the job and the work: what is open while prices change."""

    def __init__(self):
        self.open, self.seen = [], None
        self.owner_id, self.result, self.report = 1, None, None
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
