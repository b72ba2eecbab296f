"""Somebody edits a task, and it loses its lock, its turn or its TTL: the checks say so before the deploy.

They read the syntax tree: what stands in a comment or in a string does nothing.
"""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from workers.practices import concurrency, locks, progress
from workers.queues import load_tasks
from workers.task_source import called_names, endless_cache_writes, held_contexts

SWEEP, TRANSCODE = "workers.default.tasks.sweep_jobs", "workers.video.tasks.transcode_video"
IMPORT, MOVED = "workers.highmem.tasks.import_catalogue", "workers.default.tasks.delete_files"
Edit = Callable[[str, str, str], None]


@pytest.fixture
def edit(monkeypatch, tmp_path: Path) -> Edit:
    """Replaces a text in the source of a task."""

    def edit_task(name: str, old: str, new: str) -> None:
        task, file = load_tasks()[name], tmp_path / "edited.py"
        source = re.sub(r"^@shared_task.*\n", "", inspect.getsource(task.run))
        assert old in source
        file.write_text(source.replace(old, new))
        names: dict[str, Callable[..., None]] = {}
        exec(compile(file.read_text(), file, "exec"), names)
        monkeypatch.setattr(task, "run", names[name.rpartition(".")[2]])

    return edit_task


def ids(module: ModuleType) -> list[str]:
    return [message.id for message in module.check()]


def test_the_tasks_as_they_are_pass():
    assert [ids(module) for module in (locks, concurrency, progress)] == [[], [], []]


@pytest.mark.parametrize(
    "instead",
    [
        'if True:  # with locks.exclusive("sweep_jobs", lease=LEASE_SECONDS):',
        'if "with locks.exclusive(name)":',
        "with open(locks.exclusive):",
        'if locks.exclusive("sweep_jobs", lease=LEASE_SECONDS):',  # made, and never entered
        'with locks.exclusive("sweep_jobs", lease=30):\n        pass\n    if True:',
        'with locks.exclusive("sweep_jobs", lease=30) as lease:\n        name = lease.name\n    if True:',
        'with locks.exclusive("sweep_jobs", lease=30):\n        log.info("locked")\n    if True:',
        "with ExitStack() as stack:\n        stack.enter_context(locks.exclusive('a', lease=30))\n    if True:",
        "async def work():\n        with locks.exclusive('a', lease=30):\n            jobs.sweep()\n    if True:",
        "def a():\n        with locks.exclusive('a', lease=30):\n            b()\n    def b(): a()\n    if True:",
    ],
)
def test_check_fires_for_a_lock_that_protects_nothing(edit: Edit, instead: str):
    edit(SWEEP, 'with locks.exclusive("sweep_jobs", lease=LEASE_SECONDS):', instead)
    (message,) = locks.check()
    assert (message.id, SWEEP in message.msg) == ("practices.E202", True)
    assert 'with locks.exclusive("sweep_jobs", lease=30):' in message.hint


@pytest.mark.parametrize(
    "instead",
    [
        'with suppress(locks.Busy), exclusive("sweep_jobs", lease=30):',
        "with ExitStack() as stack:\n        stack.enter_context(locks.exclusive('sweep_jobs', lease=30))",
        'if not settings.DEBUG:\n        return\n    with locks.exclusive("sweep_jobs", lease=LEASE_SECONDS):',
        'with locks.exclusive("a", lease=30):\n        log.info("count=%s", jobs.sweep())\n    with nullcontext():',
        "def work():\n        with locks.exclusive('a', lease=30):\n            jobs.sweep()\n    if call(work):",
    ],
)
def test_a_lock_may_be_entered_in_other_words(edit: Edit, instead: str):
    edit(SWEEP, 'with locks.exclusive("sweep_jobs", lease=LEASE_SECONDS):', instead)
    assert locks.check() == []


def test_a_lock_may_be_a_decorator(edit: Edit):
    edit(
        SWEEP, "def sweep_jobs", 'from workers.practices import locks\n@locks.exclusive("a", lease=30)\ndef sweep_jobs'
    )
    assert locks.check() == []


def test_check_fires_for_a_task_of_jobs_without_the_jobs_lock(edit: Edit):
    edit(TRANSCODE, "with jobs.working_on(job_id) as job, ", "job = Job.objects.get(pk=job_id)\n    with ")
    (message,) = locks.check()
    assert (message.id, TRANSCODE in message.msg) == ("practices.E204", True)
    assert "jobs.working_on" in message.hint


def test_check_fires_for_a_job_whose_work_stands_behind_its_lock(edit: Edit):
    edit(TRANSCODE, " as job, open_workspace(job.report) as files:", " as job:\n        pass\n    if True:")
    assert ids(locks) == ["practices.E204"]


def test_check_fires_for_an_import_whose_work_stands_behind_its_turn(edit: Edit):
    edit(IMPORT, 'job.writing_to(job.arguments["table"]),', "")
    edit(IMPORT, "job.result =", "with job.writing_to('a'):\n            pass\n        job.result =")
    assert ids(concurrency) == ["practices.E402"]


def test_check_fires_for_it_if_its_parameter_has_another_name_but_its_queue_has_turns(edit: Edit):
    edit(TRANSCODE, "(job_id: str) -> None:", "(pk: str) -> None:\n    job_id = pk")
    assert locks.check() == []
    edit(TRANSCODE, "jobs.working_on(job_id) as job", "nullcontext() as job")
    assert ids(locks) == ["practices.E204"]


def test_check_fires_for_a_moved_task_that_does_not_hand_its_job_on(edit: Edit):
    edit(MOVED, "jobs.move(", "print(")
    (message,) = locks.check()
    assert (message.id, MOVED in message.msg) == ("practices.E204", True)


def test_check_fires_for_an_import_that_takes_no_turn(edit: Edit):
    edit(IMPORT, 'job.writing_to(job.arguments["table"]),', "")
    (message,) = concurrency.check()
    assert (message.id, IMPORT in message.msg) == ("practices.E402", True)
    assert 'job.writing_to(job.arguments["table"])' in message.hint


def test_check_fires_for_a_task_that_takes_turns_in_a_queue_without(edit: Edit):
    edit(TRANSCODE, "jobs.working_on(job_id) as job", "jobs.working_on(job_id) as job, job.writing_to('x')")
    (message,) = concurrency.check()
    assert (message.id, TRANSCODE in message.msg) == ("practices.E403", True)


def test_check_fires_for_progress_without_a_ttl(monkeypatch):
    monkeypatch.setattr(progress, "TTL", None)
    (message,) = progress.check()
    assert (message.id, "cache.set(self.key, state, TTL)" in message.msg) == ("practices.E602", True)
    monkeypatch.setattr(progress, "TTL", 3000)
    assert progress.check() == []


WRITES = """
from django.core.cache import cache, caches
from django.core.cache import cache as other
DAY, NEVER = 86400, None
store = caches["locks"]
def endless():
    cache.set("a", 1)
    cache.set("b", 1, None)
    cache.add("c", 1, timeout=NEVER)
    cache.set_many({"A": 1})
    caches["locks"].set("B", 1)
    store.get_or_set("C", 1)
    other.touch("D", None)
    local = caches["locks"]
    local.set_many({"E": 1}, timeout=None)
def bounded(seconds, options, args, event):
    cache.set("d", 1, 60)
    cache.set("e", 1, timeout=DAY)
    cache.add("f", 1, seconds)
    cache.add("g", 1, 2 * DAY)
    # cache.set("h", 1)
    cache.set_many({"j": 1}, 60)
    caches["locks"].set("k", 1, timeout=DAY)
    cache.set("l", 1, **options)
    cache.set(*args)
    seen = set()
    seen.add("m")
    event.set()
    return cache.get("i")
"""


def test_each_write_without_a_ttl_is_found(tmp_path: Path):
    file, module = tmp_path / "written.py", ModuleType("written")
    file.write_text(WRITES)
    module.__file__ = str(file)
    exec(compile(WRITES, file, "exec"), vars(module))
    assert [re.search("'(.)'", call)[1] for call in endless_cache_writes(module)] == list("abcABCDE")


def test_the_names_of_a_task_are_read_as_they_are_written():
    run = load_tasks()[IMPORT].run
    assert held_contexts(run) == {"working_on", "writing_to", "open_workspace", "open", "shared_task"}
    assert "jobs.working_on" in called_names(run)
