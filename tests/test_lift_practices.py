"""An ordinary shop (docs/lift/project) takes over the practices, one patch after the other (docs/lift.md).

Its own test is green after each step, with its own workers on a real broker, and the audit names that rule no more.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings

from devtools.copy_modules import copy
from devtools.processes import DEADLINE_SECONDS, ROOT, killed_at_end, wait_until
from devtools.rabbitmq import Node
from devtools.stack import read_procfile

LIFT = ROOT / "docs/lift"
PATCHES = sorted(LIFT.glob("*.patch"))
REDIS_OPTIONS = '{"socket_connect_timeout": 1, "socket_timeout": 5}'
AMQP_OPTIONS = '{"confirm_publish": True, "read_timeout": 3, "write_timeout": 3}'
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
    {"AUD301", "practices.E305"},
    {"practices.E401"},
    {"practices.E202"},
    {"AUD601"},
    {"practices.E801", "practices.E103"},
    {"practices.E902"},
)
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
        subprocess.run(["git", "apply", str(PATCHES[step - 1])], cwd=project, check=True)
    return project


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


def outcome(project: Path, environment: dict[str, str]) -> Outcome:
    """Runs the workers of its Procfile, its own test, and the audit."""
    with ExitStack() as workers:
        for name, line in read_procfile(project / "Procfile").items():
            if " worker" in line:
                log = project / f"{name}.log"
                workers.enter_context(killed_at_end(shlex.split(line), log, environment=environment, folder=project))
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
    project = build(tmp_path, len(PATCHES))
    use_rabbitmq(project)
    environment = environment_of(project, 0) | {"BROKER_URL": vhost.url}
    migrate(project, environment)
    assert outcome(project, environment) == Outcome("", set(), 0)


def test_each_step_can_be_rolled_back(tmp_path):
    project = build(tmp_path, len(PATCHES))
    for patch in reversed(PATCHES):
        subprocess.run(["git", "apply", "--reverse", str(patch)], cwd=project, check=True)
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
