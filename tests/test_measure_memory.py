"""Each run's peak memory is measured by itself, children included; and a task that outgrew its worker is found."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from celery import current_app
from django.conf import settings as site
from django.core.files.base import ContentFile
from django.utils import timezone
from redis import Redis

from devtools.processes import wait_until
from mediaapp.uploads.receive import store_upload
from tests.videos import make_video
from workers.capacity.memory_proposals import memory_proposals
from workers.capacity.run_memory import MB
from workers.models import TaskHour, TaskRun
from workers.practices import memory
from workers.queues import Queue, Table, table
from workers.telemetry import meter, rollups

Start = Callable[..., subprocess.Popen]
OURS = {"CELERY_WORKER_INCLUDE": "tests.tasks"}


def next_run(known: int) -> TaskRun:
    def is_there() -> bool:
        rollups.collect_runs()
        return TaskRun.objects.count() > known

    wait_until(is_there, "the run")
    return TaskRun.objects.latest("pk")


def hold(megabytes: int, queue: str = "highmem", **how: bool) -> int:
    """Runs a task that fills so much memory; returns the megabytes that were measured."""
    known = TaskRun.objects.count()
    current_app.send_task("tests.tasks.hold", args=[megabytes], kwargs=how, queue=queue)
    return next_run(known).peak_bytes // MB


def test_each_run_is_measured_by_itself_with_its_children(start: Start, broker: Redis):
    start("highmem", **OURS)  # one process: every run follows the one before it in the same memory
    base = hold(0)
    assert base + 280 < hold(300) < base + 340
    assert hold(0) < base + 30
    assert base + 280 < hold(300, in_child=True) < base + 350
    assert hold(0) < base + 30


def test_a_transcode_counts_its_ffmpeg(start: Start, broker: Redis, alice, tmp_path: Path):
    path = make_video(tmp_path / "film.mp4", seconds=8, size="1280x720", rate=25)
    store_upload(alice, ContentFile(path.read_bytes(), name="film.mp4"))
    worker = start("video")
    run = next_run(0)
    python = max(child.memory_info().rss for child in psutil.Process(worker.pid).children())
    assert run.task.endswith("transcode_video")
    assert run.peak_bytes > python + 60 * MB


def test_where_the_kernel_forbids_it_nothing_is_made_up(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(meter, "CLEAR_REFS", tmp_path)  # opening a folder for writing is an OSError as well
    meter._clear_refs.cache_clear()
    assert meter.MemoryMeter().peak_bytes() is None


def test_a_memory_hog_is_found_and_holds_again_on_the_high_memory_worker(start: Start, broker: Redis, settings):
    start("default", **OURS)
    assert hold(0, "default") < 200
    settings.QUEUE_TABLE = with_hold_on("default")
    assert memory.verify().ok is True
    hold(300, "default")
    finding = memory.verify()
    assert finding.ok is False
    assert "tests.tasks.hold" in finding.reason
    settings.QUEUE_TABLE = with_hold_on("highmem")
    assert memory.verify().ok is True


def with_hold_on(name: str) -> Table:
    hog = Queue("hogs", target_seconds=1, tasks=("tests.tasks.hold",))
    workers = (
        replace(worker, queues=tuple(queue for queue in worker.queues if queue.name != "hogs"))
        for worker in table().workers
    )
    with_hog = (replace(worker, queues=(*worker.queues, hog)) if worker.name == name else worker for worker in workers)
    return replace(table(), workers=tuple(with_hog))


def test_a_process_that_grew_is_replaced_and_the_others_stay(start: Start, broker: Redis):
    main = psutil.Process(start("default", **OURS).pid)
    before = {child.pid for child in main.children()}
    hold(300, "default")
    wait_until(lambda: len(before & {child.pid for child in main.children()}) == 3, "one process to go")
    wait_until(lambda: len(main.children()) == 4, "another one to come")


def test_without_any_run_it_is_unknown(db):
    assert memory.verify().ok is None


def hours_of(task: str, megabytes: int, hours: int = 100) -> None:
    now = timezone.now()
    TaskHour.objects.bulk_create(
        TaskHour(task=task, queue="q", hour=now - timedelta(hours=age), outcomes={}, runs=1, peak_p95=megabytes * MB)
        for age in range(2, hours + 2)
    )


def test_the_proposal_says_what_moves_and_which_machine_is_enough(db):
    hours_of("workers.default.tasks.sweep_jobs", 90)
    hours_of("workers.default.tasks.delete_old", 400)
    hours_of("workers.video.tasks.transcode_video", 700)
    hours_of("workers.highmem.tasks.import_catalogue", 120)
    default, video, highmem = memory_proposals()
    assert (default.needed_bytes, default.size) == ((100 + 4 * 400) * MB, "performance-m")
    assert default.too_large == ("workers.default.tasks.delete_old",)
    assert (video.needed_bytes, video.size, video.too_large) == (800 * MB, "standard-2x", ())
    assert (highmem.needed_bytes, highmem.size) == (220 * MB, "standard-1x")
    assert highmem.small_enough == ("workers.highmem.tasks.import_catalogue",)


def test_the_proposal_names_what_each_task_needs_and_has(db):
    hours_of("workers.default.tasks.sweep_jobs", 90)
    default = memory_proposals()[0]
    assert default.peaks == {"workers.default.tasks.sweep_jobs": 90 * MB}
    assert default.bytes_per_run == (1024 - 100) * MB // 4


def test_one_bad_hour_in_weeks_moves_nothing(db):
    hours_of("workers.default.tasks.sweep_jobs", 90)
    TaskHour.objects.filter(pk=TaskHour.objects.latest("hour").pk).update(peak_p95=900 * MB)
    assert memory_proposals()[0].too_large == ()


def test_check_is_silent_on_what_we_ship():
    assert memory.check() == []


@pytest.fixture
def house(settings, tmp_path: Path) -> Path:
    """A copy of the files that describe the processes, to break."""
    for name in ("Procfile", "app.json"):
        (tmp_path / name).write_text(Path(site.BASE_DIR, name).read_text())
    settings.BASE_DIR = tmp_path
    return tmp_path


def test_check_fires_for_a_worker_without_a_known_dyno(house: Path):
    manifest = json.loads((house / "app.json").read_text())
    manifest["formation"]["video"]["size"] = "enormous"
    (house / "app.json").write_text(json.dumps(manifest))
    (message,) = memory.check()
    assert (message.id, "video" in message.msg) == ("practices.E901", True)


def test_check_fires_for_a_worker_that_is_never_recycled(house: Path):
    procfile = (house / "Procfile").read_text()
    (house / "Procfile").write_text(procfile.replace(" --max-memory-per-child 1500000", ""))
    (message,) = memory.check()
    assert (message.id, "highmem" in message.msg) == ("practices.E902", True)


def test_check_fires_for_limits_above_the_dyno(house: Path):
    procfile = (house / "Procfile").read_text()
    (house / "Procfile").write_text(procfile.replace("--max-memory-per-child 200000", "--max-memory-per-child 300000"))
    (message,) = memory.check()
    assert (message.id, "default" in message.msg) == ("practices.E903", True)
