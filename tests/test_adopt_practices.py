"""Another project takes over the practices with its own workers, queues and tasks (tests/scratch_project).

It edits what a team edits first: config/queues.py, config/schedule.py, its process files. All other settings are ours.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from redis import Redis

from devtools.processes import DEADLINE_SECONDS, ROOT
from tests.conftest import environment
from workers.models import Job, TaskHour

# Words by which this site's own table would show.
OURS = ("urgent", "imports", "highmem", "default worker", "workers.")
SET_UP = """
import django; django.setup()
from workers import deadline
deadline.DEADLINE_SECONDS = 60  # a busy machine's
"""
DOCTOR = f"""{SET_UP}
from django.core.management import call_command
call_command("doctor")
"""
PAGES = f"""{SET_UP}
from django.contrib.auth import get_user_model
from django.test import Client
client = Client()
client.force_login(get_user_model().objects.get(username="stella"))
for address in ("/operations/", "/operations/capacity/", "/practices/", "/practices/8/"):
    page = client.get(address)
    print("status", page.status_code, page.content.decode())
"""
UNPROTECTED = """with jobs.working_on(job_id):
        pass
    caches["default"].set_many({job_id: 1})
"""
NO_TURN = """:
        with job.writing_to(job.arguments["shelf"]):
            pass
        print(job)
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The scratch project, with the files of config/ that it does not edit."""
    shop = tmp_path / "shop-project"
    shutil.copytree(
        ROOT / "config", shop / "config", ignore=shutil.ignore_patterns("queues.py", "schedule.py", "__*__")
    )
    shutil.copy(ROOT / "config/__init__.py", shop / "config")
    shutil.copytree(ROOT / "tests/scratch_project", shop, dirs_exist_ok=True)
    (shop / "templates").symlink_to(ROOT / "templates")
    return shop


@pytest.fixture
def run(shop: Path, transactional_db) -> Run:
    """Runs Python in the project's folder, where `config` is the project's own."""

    def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
        own = {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": f"{shop}:{ROOT}", "DEBUG": "true"}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=shop,
            env=environment(**own),
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    return run_python


@pytest.fixture
def bad_day(transactional_db, broker: Redis) -> None:
    """Rows by which the practices have something to say: work that waits, runs twice at once, or needs much memory."""
    now = timezone.now()
    long_ago = now - timedelta(minutes=2)
    Job.objects.create(task="shop.tasks.send_receipt", queue="receipts", queued_at=long_ago, dispatched_at=long_ago)
    for _ in range(2):
        parcel = {"task": "shop.tasks.pack_parcel", "queue": "parcels", "arguments": {"shelf": "A1"}}
        Job.objects.create(state=Job.State.RUNNING, queued_at=long_ago, started_at=long_ago, **parcel)
    for task, queue, peak in (("count_stock", "chores", 900 << 20), ("pack_parcel", "parcels", 50 << 20)):
        hour = {"queue": queue, "hour": now, "outcomes": {}, "runs": 1}
        TaskHour.objects.create(task=f"shop.tasks.{task}", peak_p95=peak, **hour)


def test_its_checks_are_silent(run: Run):
    done = run("-m", "django", "check", "--fail-level", "WARNING")
    assert (done.returncode, done.stderr) == (0, "")


def test_each_broken_rule_names_what_is_the_projects(run: Run, shop: Path):
    for file, good, bad in (
        ("Procfile", "--queues receipts,chores", "--queues chores"),
        ("Procfile", "--concurrency 1", "--concurrency 4"),
        ("docker-compose.yml", "--concurrency 2", "--concurrency 4"),
        ("docker-compose.yml", "mem_limit: 2560m", "mem_limit: 1g"),
        ("config/queues.py", '"shop.tasks.answer", ', ""),
        ("config/queues.py", "target_seconds=600,", "target_seconds=0,"),
        ("config/schedule.py", '"shop.tasks.collect"', '"shop.tasks.count_stock"'),
        ("shop/tasks.py", 'locks.exclusive("count_stock", lease=30)', "open('/dev/null')"),
        ("shop/tasks.py", "with jobs.working_on(job_id):\n        pass\n", UNPROTECTED),
        ("shop/tasks.py", ', job.writing_to(job.arguments["shelf"]):\n', NO_TURN),
        ("shop/tasks.py", "soft_time_limit=500, time_limit=600", "soft_time_limit=900, time_limit=900"),
    ):
        text = (shop / file).read_text()
        assert good in text
        (shop / file).write_text(text.replace(good, bad))
    done = run("-m", "django", "check")
    assert done.returncode == 1
    found = dict(re.findall(r"\((practices\.\w+)\) (.*)", done.stderr))
    expected = {
        "practices.E202": "shop.tasks.count_stock",
        "practices.E204": "shop.tasks.send_receipt",
        "practices.E301": "counter",
        "practices.E302": "shop.tasks.answer",
        "practices.E303": "shop.tasks.pack_parcel",
        "practices.E401": "counter",
        "practices.E402": "shop.tasks.pack_parcel",
        "practices.E602": "shop.tasks",
        "practices.E702": "shop.tasks.collect",
        "practices.E703": "shop.tasks.pack_parcel",
        "practices.E801": "parcels",
        "practices.E905": "warehouse",
    }
    assert {rule: name for rule, name in expected.items() if name not in found.get(rule, "")} == {}
    assert "workers.default" not in done.stderr


def test_its_doctor_speaks_of_its_own_queues(run: Run, bad_day):
    done = run("-c", DOCTOR)
    lines = [line for line in done.stdout.splitlines() if re.match(r"\d ", line)]
    assert [int(line[0]) for line in lines] == list(range(1, 10))
    assert (done.returncode, done.stderr) == (1, "")  # no worker is up, and no beat
    assert "nothing ran from receipts in ten minutes" in lines[2]
    assert "parcels at work: 2 on A1" in lines[3]
    assert "Is the counter worker up?" in done.stdout
    assert "shop.tasks.count_stock" in done.stdout  # has outgrown its worker
    assert [word for word in OURS if word in done.stdout] == []


def test_its_pages_show_staff_its_queues_and_workers(run: Run, stella, bad_day):
    done = run("-c", PAGES)
    assert re.findall(r"^status (\d+)", done.stdout, re.MULTILINE) == ["200"] * 4
    assert re.findall(r'id="queue-(\w+)"', done.stdout) == ["receipts", "chores", "parcels"]
    assert "The warehouse worker:" in done.stdout
    assert [word for word in OURS if word in done.stdout] == []
