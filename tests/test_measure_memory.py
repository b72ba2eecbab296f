"""Practice 9: each run's peak is its own, children included; verify() fails for a task that outgrew its worker."""

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


def test_a_peak_that_the_kernel_does_not_measure_is_none(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(meter, "CLEAR_REFS", tmp_path)  # opening a folder for writing is an OSError as well
    meter._clear_refs.cache_clear()
    assert meter.MemoryMeter().peak_bytes() is None


def test_verify_fails_for_a_large_task_until_it_is_on_the_hungry_worker(start: Start, broker: Redis, settings):
    start("default", **OURS)
    assert hold(0, "default") < 200
    settings.QUEUE_TABLE = table_with_hold_on("default")
    assert memory.verify().ok is True
    hold(300, "default")
    finding = memory.verify()
    assert finding.ok is False
    assert "tests.tasks.hold" in finding.reason
    settings.QUEUE_TABLE = table_with_hold_on("highmem")
    assert memory.verify().ok is True


def table_with_hold_on(name: str) -> Table:
    hog = Queue("hogs", target_seconds=1, tasks=("tests.tasks.hold",))
    workers = (
        replace(worker, queues=tuple(queue for queue in worker.queues if queue.name != "hogs"))
        for worker in table().workers
    )
    with_hog = (replace(worker, queues=(*worker.queues, hog)) if worker.name == name else worker for worker in workers)
    return replace(table(), workers=tuple(with_hog))


def test_a_worker_replaces_only_the_process_that_grew(start: Start, broker: Redis):
    main = psutil.Process(start("default", **OURS).pid)
    before = {child.pid for child in main.children()}
    hold(300, "default")
    wait_until(lambda: len(before & {child.pid for child in main.children()}) == 3, "one process to go")
    wait_until(lambda: len(main.children()) == 4, "another one to come")


def test_verify_is_unknown_without_any_run(db):
    assert memory.verify().ok is None


def make_hours(task: str, megabytes: int, hours: int = 100) -> None:
    now = timezone.now()
    TaskHour.objects.bulk_create(
        TaskHour(task=task, queue="q", hour=now - timedelta(hours=age), outcomes={}, runs=1, peak_p95=megabytes * MB)
        for age in range(2, hours + 2)
    )


def test_a_proposal_names_tasks_to_move_and_the_size_of_dyno(db):
    make_hours("workers.default.tasks.sweep_jobs", 90)
    make_hours("workers.default.tasks.collect_runs", 400)
    make_hours("workers.video.tasks.transcode_video", 700)
    make_hours("workers.highmem.tasks.import_catalogue", 120)
    default, video, highmem = memory_proposals()
    assert (default.needed_bytes, default.size) == ((100 + 4 * 400) * MB, "performance-m")
    assert default.too_large == ("workers.default.tasks.collect_runs",)
    assert (video.needed_bytes, video.size, video.too_large) == (800 * MB, "standard-2x", ())
    assert (highmem.needed_bytes, highmem.size) == (220 * MB, "standard-1x")
    assert highmem.small_enough == ("workers.highmem.tasks.import_catalogue",)


def test_a_proposal_has_peaks_and_the_bytes_of_a_run(db):
    make_hours("workers.default.tasks.sweep_jobs", 90)
    default = memory_proposals()[0]
    assert default.peaks == {"workers.default.tasks.sweep_jobs": 90 * MB}
    assert default.bytes_per_run == (1024 - 100) * MB // 4


def test_one_bad_hour_changes_no_proposal(db):
    make_hours("workers.default.tasks.sweep_jobs", 90)
    TaskHour.objects.filter(pk=TaskHour.objects.latest("hour").pk).update(peak_p95=900 * MB)
    assert memory_proposals()[0].too_large == ()


def test_check_is_silent_for_the_shipped_files():
    assert memory.check() == []


@pytest.fixture
def base_dir(settings, tmp_path: Path) -> Path:
    """A copy of the files that describe the processes, for a test to edit."""
    for name in ("Procfile", "app.json", "docker-compose.yml"):
        (tmp_path / name).write_text(Path(site.BASE_DIR, name).read_text())
    settings.BASE_DIR = tmp_path
    return tmp_path


def test_check_fires_for_a_worker_without_a_known_dyno(base_dir: Path):
    manifest = json.loads((base_dir / "app.json").read_text())
    manifest["formation"]["video"]["size"] = "enormous"
    (base_dir / "app.json").write_text(json.dumps(manifest))
    (message,) = memory.check()
    assert (message.id, "video" in message.msg) == ("practices.E901", True)


def test_check_fires_for_a_worker_that_is_never_recycled(base_dir: Path):
    procfile = (base_dir / "Procfile").read_text()
    (base_dir / "Procfile").write_text(procfile.replace(" --max-memory-per-child 1500000", ""))
    (message,) = memory.check()
    assert (message.id, "highmem" in message.msg) == ("practices.E902", True)


def test_check_fires_for_limits_above_the_dyno(base_dir: Path):
    procfile = (base_dir / "Procfile").read_text()
    (base_dir / "Procfile").write_text(
        procfile.replace("--max-memory-per-child 200000", "--max-memory-per-child 300000")
    )
    (message,) = memory.check()
    assert (message.id, "default" in message.msg) == ("practices.E903", True)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("mem_limit: 2g", "highmem has 2048 MB, and its dyno 2560 MB"),
        ("# mem_limit: 2560m", "highmem has 512 MB, and its dyno 2560 MB"),  # that of the anchor that it merges
    ],
)
def test_check_fires_for_a_container_that_is_smaller_than_the_dyno(base_dir: Path, limit: str, said: str):
    edit_service(base_dir / "docker-compose.yml", "highmem", "mem_limit: 2560m", limit)
    (message,) = memory.check()
    assert (message.id, said in message.msg) == ("practices.E905", True)


def test_check_fires_for_a_container_without_a_limit(base_dir: Path):
    file = base_dir / "docker-compose.yml"
    file.write_text(file.read_text().replace("  mem_limit: 512m\n", ""))  # the anchor's
    assert memory.check() == []
    edit_service(file, "video", "mem_limit: 2560m", "")
    (message,) = memory.check()
    assert (message.id, "video has no mem_limit" in message.msg) == ("practices.E905", True)


@pytest.mark.parametrize("limit", ["mem_limit: 2684354560", "mem_limit: 2621440kb", "mem_limit: 3G # more"])
def test_a_container_may_be_bigger_and_its_limit_be_written_in_any_unit(base_dir: Path, limit: str):
    edit_service(base_dir / "docker-compose.yml", "highmem", "mem_limit: 2560m", limit)
    assert memory.check() == []


def test_a_formation_that_was_scaled_says_nothing_of_the_containers(settings):
    settings.FORMATION = "highmem=1:performance-l"
    assert memory.check() == []


def edit_service(file: Path, service: str, old: str, new: str) -> None:
    before, name, after = file.read_text().partition(f"\n  {service}:\n")
    assert old in after
    file.write_text(before + name + after.replace(old, new, 1))
