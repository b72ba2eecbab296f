"""Imports into one table take turns, across all workers, and hold no worker slot while they wait."""

from collections.abc import Callable

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from mediaapp.models import CatalogueItem
from mediaapp.uploads import receive
from tests.conftest import wait_until
from tests.outages import take_away
from workers import jobs
from workers.default import housekeeping
from workers.models import Job
from workers.practices import concurrency, locks

TASK = "workers.highmem.tasks.import_catalogue"
TABLE = "mediaapp.CatalogueItem"


def test_a_second_import_into_the_table_comes_later():
    with (
        concurrency.one_writer(TABLE, tries=1),
        pytest.raises(concurrency.TryLater) as later,
        concurrency.one_writer(TABLE, tries=1),
    ):
        pytest.fail("two writers")
    assert later.value.seconds == concurrency.FIRST_PAUSE


def test_an_import_comes_later_while_nobody_knows_whether_it_is_alone(settings):
    take_away(settings, "locks")
    with pytest.raises(concurrency.TryLater), concurrency.one_writer(TABLE, tries=1):
        pytest.fail("it may not be alone")


def test_an_import_into_another_table_is_left_alone():
    with concurrency.one_writer(TABLE, tries=1), concurrency.one_writer("mediaapp.Other", tries=1):
        assert len(locks.held()) == 2


@pytest.mark.parametrize(("tries", "seconds"), [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (500, 60)])
def test_the_pause_grows_and_has_an_end(tries, seconds):
    with (
        concurrency.one_writer(TABLE, tries=1),
        pytest.raises(concurrency.TryLater) as later,
        concurrency.one_writer(TABLE, tries=tries),
    ):
        pytest.fail("two writers")
    assert later.value.seconds == seconds


def test_an_import_that_finds_the_table_busy_frees_its_worker_and_says_so(alice, start: Callable):
    waiting = receive(alice, ContentFile(b"external_id,title\n1,One\n", name="one.csv"))
    with locks.exclusive(f"import:{TABLE}", lease=30):
        start("highmem")
        wait_until(lambda: Job.objects.get(pk=waiting.pk).not_before, "the job to be handed back")
        job = Job.objects.get(pk=waiting.pk)
        assert (job.state, job.queue) == (Job.State.QUEUED, "imports")
        assert jobs.state_of(job)["message"] == "Waiting for another import into the catalogue to end."
    Job.objects.update(not_before=timezone.now())
    housekeeping.sweep()
    wait_until(lambda: Job.objects.get(pk=waiting.pk).is_final, "the import")
    assert CatalogueItem.objects.get().title == "One"


@pytest.mark.django_db
def test_verify_holds_until_two_imports_are_at_work_on_one_table(alice):
    made = [jobs.create(TASK, owner_id=alice.pk, arguments={"table": TABLE}) for _ in range(2)]
    Job.objects.filter(pk=made[0].pk).update(state=Job.State.RUNNING)
    assert concurrency.verify().holds is True
    Job.objects.update(state=Job.State.RUNNING)
    assert concurrency.verify().holds is False
    assert TABLE in concurrency.verify().why


@pytest.mark.django_db
def test_the_figure_says_how_fast_the_last_imports_were(alice):
    job = jobs.create(TASK, owner_id=alice.pk, arguments={"table": TABLE})
    now = timezone.now()
    ended = {"finished_at": now, "started_at": now - timezone.timedelta(seconds=2), "result": {"rows": 50_000}}
    Job.objects.filter(pk=job.pk).update(state=Job.State.DONE, **ended)
    assert "25,000 rows/s" in concurrency.verify().figure


def test_check_fires_when_the_imports_worker_runs_several_at_once(settings, tmp_path):
    assert concurrency.check() == []
    ours = (settings.BASE_DIR / "Procfile").read_text()
    settings.BASE_DIR = tmp_path
    (tmp_path / "Procfile").write_text(
        ours.replace("imports,highmem --concurrency 1", "imports,highmem --concurrency 8")
    )
    (message,) = concurrency.check()
    assert message.id == "practices.E401"
    assert "highmem" in message.msg
