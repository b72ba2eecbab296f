import io
import uuid
from itertools import pairwise

import pytest
from django.utils import timezone

from workers import jobs
from workers.highmem import tasks, titles
from workers.models import Job
from workers.practices import progress

TOTAL = 15


class Cancelled(Exception):
    """As the report of a cancelled job raises it."""


@pytest.fixture
def work():
    """Writes 15 titles. Gives the reports, how many titles had been read at each of them, and the file."""
    file, reports, read = io.StringIO(), [], 0

    def read_titles():
        nonlocal read
        for number in range(TOTAL):
            read += 1
            yield f"Title {number}"

    def run(cancel_at=None):
        def report(done, total, *_, **__):
            reports.append((done, total, read))
            if cancel_at is not None and done >= cancel_at:
                raise Cancelled

        titles.write_titles(read_titles(), TOTAL, file, report)

    return run, reports, file


def test_it_says_zero_of_all_before_the_first_title(work):
    """The first report has done=0 and the total, before any title is read."""
    run, reports, _ = work
    run()
    assert reports, "report() is not called."
    assert reports[0] == (0, TOTAL, 0), f"The first report is {reports[0][:2]}, after {reports[0][2]} titles."


def test_it_says_how_many_are_done_while_it_works(work):
    """In the middle, the number is that of the titles written so far, and at the end it is the total."""
    run, reports, file = work
    run()
    done = [each[0] for each in reports]
    assert any(0 < number < TOTAL for number in done), f"Nothing is said between the start and the end: {done}."
    assert max(later - earlier for earlier, later in pairwise(done)) <= 5, f"It jumps: {done}."
    assert done[-1] == TOTAL, f"The last report says {done[-1]} of {TOTAL}."
    assert [each for each in reports if each[0] > each[2]] == [], "It says that titles are done that it has not read."
    assert len(file.getvalue().splitlines()) == TOTAL, "The file has not all titles."


def test_a_cancelled_job_stops_in_the_middle(work):
    """What report() raises ends the work."""
    run, reports, file = work
    with pytest.raises(Cancelled):
        run(cancel_at=5)
    assert len(file.getvalue().splitlines()) <= 10, "It goes on after its owner has cancelled."
    assert reports[-1][0] < TOTAL, "It reports the end of a job that was cancelled."


def test_the_page_of_the_job_can_read_it(db, monkeypatch):
    """The task gives the engine a report that writes the key which the page reads."""
    seen = {}

    def write_titles(titles, total, file, report):
        report(5, 15, "writing")
        seen["state"] = progress.read(job.id)

    monkeypatch.setattr(titles, "write_titles", write_titles)
    fields = {"queue": "highmem", "arguments": {"table": "mediaapp.CatalogueItem"}, "queued_at": timezone.now()}
    job = Job.objects.create(id=uuid.uuid4(), task=tasks.list_titles.name, **fields)
    tasks.list_titles(str(job.id))
    state = seen.get("state")
    assert state, f"There is nothing under {progress.KEY.format(job.id)}."
    assert (state["done"], state["total"]) == (5, 15), f"It says {state['done']} of {state['total']}."
    assert jobs.running_state(state)["done"] == 5, "The page would not show it."
