"""An ordinary shop (docs/lift/project) takes over the practices, one patch after the other (docs/lift.md).

Its own test is green after each step, with its own workers on a real broker, and the audit names that rule no more.
In the end, a run whose process is killed comes to its end.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from devtools.copy_modules import copy
from devtools.processes import DEADLINE_SECONDS, ROOT, killed_at_end, wait_until
from devtools.rabbitmq import Node
from devtools.stack import read_procfile
from tests.outages import silent_address

LIFT = ROOT / "docs/lift"
PATCHES = sorted(LIFT.glob("*.patch"))
REDIS_OPTIONS = '{"socket_connect_timeout": 1, "socket_timeout": 5, "max_retries": 0}'
AMQP_OPTIONS = '{"confirm_publish": True, "read_timeout": 3, "write_timeout": 3, "max_retries": 0}'
# docs/5-expires.md, step 5, in the shop. Each message of its entry is dead when a worker comes.
ONE_WAITS = """
INSTALLED_APPS.append("django_celery_beat")
CELERY_RESULT_BACKEND = None  # RabbitMQ is none
CELERY_BEAT_SCHEDULER = "shop.one_waits:OneWaits"
CELERY_BEAT_SCHEDULE["remind of unpaid orders"] |= {"schedule": 1.0, "options": {"expire_seconds": 1}}
"""
AT_ONCE = 3  # projects that are tried in parallel
# By step: the rules that it mends, and the modules that it copies.
RULES = (
    {"practices.E701", "AUD701"},
    {"practices.E501"},
    {"practices.E101", "practices.E102"},
    {"AUD301"},
    {"practices.E401"},
    {"practices.E202", "practices.E305", "AUD302"},
    {"AUD601"},
    {"practices.E801", "practices.E103", "AUD901"},
    {"practices.E902"},
)
# Publishes one receipt, or an export, as a page of the shop does.
PUBLISH = "import django; django.setup(); from shop.tasks import {task}; {task}.delay({id})"
ORDERS, FIRST, KILLED, NEXT = 50_000, 1, 2, 3  # three exports
MAKE_ORDERS = f"""
import django; django.setup(); from shop.models import Export, Order
Order.objects.bulk_create(Order(email="ann@example.com", total=12, is_reminded=True) for _ in range({ORDERS}))
Export.objects.bulk_create(Export(pk=pk) for pk in ({FIRST}, {KILLED}, {NEXT}))
"""
SHOW_ROWS = "import django; django.setup(); from shop.models import Export; print(Export.objects.get(pk={id}).rows)"
COPIED = {6: ("workers.practices.locks",), 8: ("workers.queues", "workers.brokers.connection")}


@dataclass(frozen=True)
class Outcome:
    """Of a project after so many steps. rules: that the audit names, found or unknown."""

    own_test: str
    rules: set[str]
    exit_code: int


def build(folder: Path, steps: int) -> Path:
    """The project after the first patches, with the audit."""
    project = shutil.copytree(LIFT / "project", folder / f"shop{steps}")
    copy("workers.audit.__main__", project)
    for step in range(1, steps + 1):
        for module in COPIED.get(step, ()):
            copy(module, project)
        apply(PATCHES[step - 1], project)
    return project


def apply(patch: Path, project: Path, *options: str) -> None:
    subprocess.run(["patch", "-s", "-p1", *options, "-i", str(patch)], cwd=project, check=True)


def environment_of(project: Path, steps: int) -> dict[str, str]:
    """With databases of its own on the session's servers."""
    servers = {"BROKER_URL": settings.BROKER_URL, "LOCKS_URL": settings.BROKER_URL, "REDIS_URL": settings.REDIS_URL}
    own = {name: re.sub(r"/\d+$", f"/{steps + 3}", url) for name, url in servers.items()}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(project), "DJANGO_SETTINGS_MODULE": "shop.settings", **own}


def run(project: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )


def migrate(project: Path, environment: dict[str, str]) -> None:
    done = run(project, environment, "manage.py", "migrate")
    assert done.returncode == 0, done.stderr


def use_rabbitmq(project: Path) -> None:
    text = (project / "shop/settings.py").read_text()
    assert REDIS_OPTIONS in text
    (project / "shop/settings.py").write_text(text.replace(REDIS_OPTIONS, AMQP_OPTIONS))


@contextmanager
def running_workers(project: Path, environment: dict[str, str]) -> Iterator[dict[str, psutil.Process]]:
    """Those of its Procfile, by name."""
    with ExitStack() as running:
        workers = {}
        for name, line in read_procfile(project / "Procfile").items():
            if " worker" in line:
                log = project / f"{name}.log"
                started = killed_at_end(shlex.split(line), log, environment=environment, folder=project)
                workers[name] = psutil.Process(running.enter_context(started).pid)
        yield workers


def outcome(project: Path, environment: dict[str, str]) -> Outcome:
    """Runs the workers of its Procfile, its own test, and the audit."""
    with running_workers(project, environment):
        tested = run(project, environment, "-m", "unittest", "shop.tests")
        logs = "".join(log.read_text()[-2000:] for log in project.glob("*.log"))
    audited = run(project, environment, "-m", "workers.audit", "shop", "--json")
    assert audited.stdout, audited.stderr
    said = "" if tested.returncode == 0 else tested.stderr + logs
    return Outcome(said, {row["rule"] for row in json.loads(audited.stdout)}, audited.returncode)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> list[Outcome]:
    """Of the project before the first step, after it, and so on.

    All have the last one's tables, as after a rollback: a migration that an older release cannot bear would show.
    """
    folder = tmp_path_factory.mktemp("lift")
    with ThreadPoolExecutor(AT_ONCE) as threads:
        projects = [build(folder, steps) for steps in range(len(RULES) + 1)]
        environments = [environment_of(project, steps) for steps, project in enumerate(projects)]
        migrate(projects[-1], environments[-1])
        for project in projects[:-1]:
            shutil.copy(projects[-1] / "shop.sqlite3", project)
        return list(threads.map(outcome, projects, environments))


def test_the_projects_own_test_is_green_after_each_step(outcomes):
    assert {steps: each.own_test for steps, each in enumerate(outcomes) if each.own_test} == {}


def test_each_step_mends_its_rule_and_leaves_the_later_ones(outcomes):
    for steps, each in enumerate(outcomes):
        mended, open_rules = set().union(*RULES[:steps]), set().union(*RULES[steps:])
        assert (each.rules & mended, open_rules - each.rules) == (set(), set()), f"after step {steps}"


def test_in_the_end_the_audit_finds_nothing(outcomes):
    assert (outcomes[0].exit_code, outcomes[-1].exit_code) == (1, 0)
    assert outcomes[-1].rules == set()


def test_the_last_step_holds_on_rabbitmq(vhost: Node, tmp_path):
    """The audit cannot know the server's consumer_timeout."""
    project = build(tmp_path, len(PATCHES))
    use_rabbitmq(project)
    environment = environment_of(project, 0) | {"BROKER_URL": vhost.url}
    migrate(project, environment)
    assert outcome(project, environment) == Outcome("", {"practices.E304"}, 2)


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_an_export_whose_process_is_killed_comes_to_its_end(broker, request, tmp_path):
    url = request.getfixturevalue("vhost").url if broker == "rabbitmq" else None
    assert rows_after_kill(tmp_path, url) == ORDERS


@pytest.mark.parametrize("option", ["TASK_ACKS_LATE", "TASK_REJECT_ON_WORKER_LOST"])
def test_without_one_of_its_two_options_the_export_is_lost(option, tmp_path):
    assert rows_after_kill(tmp_path, None, without=option) is None


def rows_after_kill(tmp_path: Path, url: str | None, *, without: str = "") -> int | None:
    """Of an export whose pool process got `kill -9` in the middle. None if the next one ends before it."""
    project = build(tmp_path, len(PATCHES))
    environment = environment_of(project, 2) | ({"BROKER_URL": url} if url else {})
    if url:
        use_rabbitmq(project)
    if without:
        settings_file = project / "shop/settings.py"
        text = settings_file.read_text()
        assert f"CELERY_{without} = True" in text
        settings_file.write_text(text.replace(f"CELERY_{without} = True", f"CELERY_{without} = False"))
    migrate(project, environment)
    assert run(project, environment, "-c", MAKE_ORDERS).returncode == 0
    file, log = project / f"exports/{KILLED}.csv", project / "exports.log"
    with running_workers(project, environment) as workers:
        make_export(project, environment, FIRST)
        (child,) = workers["exports"].children()
        child.suspend()  # it works in short steps, so that a busy machine does not miss its middle
        publish_export(project, environment, KILLED)
        wait_until(lambda: step(child) and file.exists() and file.stat().st_size, "the first rows", interval=0)
        child.kill()
        written = len(file.read_text().splitlines())
        assert 0 < written < ORDERS
        wait_until(lambda: "WorkerLostError" in log.read_text(), "the worker to notice")
        make_export(project, environment, NEXT)
        return rows_of(project, environment, KILLED)


def publish_export(project: Path, environment: dict[str, str], export: int) -> None:
    published = run(project, environment, "-c", PUBLISH.format(task="export_orders", id=export))
    assert published.returncode == 0, published.stderr


def make_export(project: Path, environment: dict[str, str], export: int) -> None:
    publish_export(project, environment, export)
    wait_until(lambda: rows_of(project, environment, export) is not None, "the export")


def step(process: psutil.Process) -> bool:
    process.resume()
    time.sleep(0.002)
    process.suspend()
    return True


def rows_of(project: Path, environment: dict[str, str], export: int) -> int | None:
    return json.loads(run(project, environment, "-c", SHOW_ROWS.format(id=export)).stdout.replace("None", "null"))


def test_a_publish_gives_up_from_step_3_on(tmp_path):
    """Without ignore_result it waits for the silent server of its result without end. An export does until step 7."""
    project = build(tmp_path, 3)
    with silent_address() as address:
        environment = environment_of(project, 1) | {"BROKER_URL": f"redis://{address}/0"}
        published = run(project, environment, "-c", PUBLISH.format(task="send_receipt", id=0))
    assert "OperationalError" in published.stderr


def test_each_step_can_be_rolled_back(tmp_path):
    project = build(tmp_path, len(PATCHES))
    for patch in reversed(PATCHES):
        apply(patch, project, "--reverse")
    files = [path.relative_to(LIFT / "project") for path in (LIFT / "project").rglob("*.py")]
    assert {file for file in files if (project / file).read_text() != (LIFT / "project" / file).read_text()} == set()


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_beat_sends_no_message_while_its_last_one_waits(broker, request, tmp_path):
    """Behind one that does not expire, so that RabbitMQ drops none either. A worker comes, and beat sends again."""
    project, database = build(tmp_path, 3), len(PATCHES) + 1 + ["redis", "rabbitmq"].index(broker)
    environment = environment_of(project, database)
    if broker == "rabbitmq":
        environment["BROKER_URL"] = request.getfixturevalue("vhost").url
        use_rabbitmq(project)
    shutil.copy(LIFT / "one_waits.py", project / "shop")
    for file, lines in (("settings", ONE_WAITS), ("celery", 'app.autodiscover_tasks(related_name="one_waits")\n')):
        with (project / f"shop/{file}.py").open("a") as source:
            source.write(lines)
    migrate(project, environment)
    published = run(project, environment, "-m", "celery", "-A", "shop", "call", "shop.tasks.send_receipt", "-a", "[0]")
    assert published.returncode == 0, published.stderr

    def start(*words: str):
        command = [sys.executable, "-m", "celery", "-A", "shop", *words, "--loglevel", "INFO"]
        return killed_at_end(command, project / f"{words[0]}.log", environment=environment, folder=project)

    def count(event: str) -> int:
        return (project / "beat.log").read_text().count(event)

    with start("beat"):
        wait_until(lambda: count("beat_entry_skipped") >= 2, "two skipped runs")
        assert count("Sending due task") == 1
        with start("worker", "-c", "1"):
            wait_until(lambda: count("Sending due task") >= 3, "runs that are sent again")
