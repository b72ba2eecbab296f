from contextlib import contextmanager, suppress
from types import SimpleNamespace

from workers.highmem import tasks


class Trace:
    """Stands for the job, the workspace and the engine: what is open while the rows are written."""

    def __init__(self):
        self.open, self.seen = [], None
        self.report, self.result = None, None
        self.arguments = {"table": "mediaapp.CatalogueItem", "source": "a.csv"}

    @contextmanager
    def entered(self, name, value=None):
        self.open.append(name)
        try:
            yield value
        finally:
            self.open.remove(name)

    def working_on(self, job_id):
        return self.entered("job", self)

    def writing_to(self, table):
        return self.entered(f"turn of {table}")

    def open_workspace(self, report):
        return self.entered("workspace", self)

    def fetch(self, source):
        return SimpleNamespace(open=lambda mode: self.entered("source"))

    def run_import_job(self, job, source):
        self.seen = list(self.open)
        return {"rows": 1}


def run_import(monkeypatch, trace):
    monkeypatch.setattr(tasks.jobs, "working_on", trace.working_on)
    monkeypatch.setattr(tasks, "open_workspace", trace.open_workspace)
    monkeypatch.setattr(tasks, "run_import_job", trace.run_import_job)
    tasks.import_catalogue.run("an id")


def test_the_rows_are_locked_while_they_are_written(monkeypatch):
    """An import has its turn of the table while it writes."""
    trace = Trace()
    run_import(monkeypatch, trace)
    assert trace.seen is not None, "Nothing was imported."
    assert "turn of mediaapp.CatalogueItem" in trace.seen, (
        f"While rows are written, only {', '.join(trace.seen)} is held."
    )
    assert trace.result == {"rows": 1}, "The job does not keep the result of its import."


def test_the_turn_ends_with_the_import(monkeypatch):
    """The turn is given back when the import has ended, also if it failed."""
    trace = Trace()

    def fail(job, source):
        trace.seen = list(trace.open)
        raise ValueError("a broken file")

    trace.run_import_job = fail
    with suppress(ValueError):
        run_import(monkeypatch, trace)
    assert trace.seen is not None, "Nothing was imported."
    assert "turn of mediaapp.CatalogueItem" in trace.seen, "An import that fails has had no turn."
    assert trace.open == [], f"After a failed import, {', '.join(trace.open)} is still held."
