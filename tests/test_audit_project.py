"""The audit of any project: what it finds, what it leaves unknown, and that it asks no server."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from kombu import Queue

from devtools.copy_modules import copy
from devtools.processes import DEADLINE_SECONDS, ROOT
from tests.audited_projects import MEDIACMS, PAPERLESS, READTHEDOCS, Facts, every, project_of
from tests.conftest import environment
from workers.audit import report
from workers.audit.messages import CHAPTERS, Message
from workers.audit.report import FOUND, UNKNOWN, audit
from workers.practices import registry
from workers.queues import Queue as TableQueue
from workers.queues import Table, Worker

REDIS = {"broker_url": "redis://10.0.0.1/0"}
BOUNDED = {"broker_transport_options": {"socket_timeout": 3, "socket_connect_timeout": 1}}
GOOD_LINE = "worker: celery -A shop worker -Q celery -c 4 --max-memory-per-child 200000\n"
KEPT = {"task_acks_late": True, "task_reject_on_worker_lost": True}
GOOD = REDIS | BOUNDED | KEPT | {"task_time_limit": 20, "worker_prefetch_multiplier": 1}

LIMITED = {"task_queues": [Queue("celery", queue_arguments={"x-max-length": 10})], "broker_url": "amqp://"}


def messages(tmp_path: Path, *, tasks=None, line: str = GOOD_LINE, caches=None, **conf) -> list[Message]:
    facts = Facts("", GOOD | conf, tasks or {"tick": {}}, {"Procfile": line} if line else {}, caches or {})
    return audit(project_of(facts, tmp_path))


def found(all_messages: list[Message]) -> dict[str, list[str]]:
    faults: dict[str, list[str]] = {}
    for message in all_messages:
        if message.is_known:
            faults.setdefault(message.rule.removeprefix("practices."), []).append(message.fault)
    return faults


def unknown(all_messages: list[Message]) -> set[str]:
    return {message.rule.removeprefix("practices.") for message in all_messages if not message.is_known}


OFTEN = {"often": every(60, expires=50)}
SHARED = {alias: {"LOCATION": "redis://10.0.0.2"} for alias in ("locks", "default")}
FILM = {"queue": "films", "time_limit": 900}
BOTH = "w: celery worker -Q celery,films -c 1 --max-memory-per-child 1"
# A rule broken, and the words that its message has. A good project is its twin: see the test after the next one.
BROKEN = [
    ("E101", {"caches": {"default": {"LOCATION": "redis://10.0.0.1:6379/2"}}}, "default"),
    ("E102", {"broker_transport_options": {}}, "socket_connect_timeout, socket_timeout"),
    ("E102", {"broker_url": "amqp://10.0.0.1//"}, "confirm_publish, read_timeout"),
    ("E201", {"caches": SHARED}, "same server"),
    ("E202", {"beat_schedule": {"often": every(60, expires=50)}}, "tick is scheduled, and no lock is seen"),
    ("E202", {"beat_schedule": OFTEN, "tasks": {"tick": {"body": "block(clock())"}}}, "no lock is seen"),
    ("AUD201", {"tasks": {"tick": {"body": "with cache.lock('a'): work()"}}}, "cache.lock('a')"),
    ("AUD201", {"tasks": {"tick": {"body": "redis.lock('a', timeout=None)"}}}, "timeout=None"),
    ("AUD202", {"tasks": {"tick": {"body": "if cache.add('a', 1, 9): cache.delete('a')"}}}, "cache.delete('a')"),
    ("AUD302", {"task_acks_late": False}, "1 of 1 tasks are acknowledged before they run: tick"),
    ("AUD303", {"task_reject_on_worker_lost": None}, "tick: late acknowledgement alone"),
    ("AUD304", {"tasks": {"tick": {}, "film": FILM}}, "mistyped queue"),
    ("E301", {"task_default_queue": "mails"}, "no worker consumes mails"),
    ("E302", {"beat_schedule": {"gone": {"task": "shop.gone", "schedule": 60.0}}}, "no code has that name"),
    ("E302", {"task_queues": [Queue("b")], "task_create_missing_queues": False}, "which task_queues does not have"),
    ("E304", {"task_time_limit": 4000}, "after 3,600 s, and tick"),
    ("E305", {"worker_prefetch_multiplier": 4, "task_time_limit": 900}, "takes 4 messages"),
    ("E305", {"task_acks_late": False, "task_time_limit": 900}, "takes one message more than it works on"),
    ("E306", {"tasks": {"tick": {}, "film": FILM}, "line": BOTH}, "tick waits behind film"),
    ("AUD301", {"tasks": {"tick": {}, "film": {"time_limit": 900}}}, "In the queue celery, tick waits behind film"),
    ("E401", {"line": "worker: celery -A shop worker\n"}, "as many tasks at once"),
    ("E501", {"beat_schedule": {"often": every(60)}}, "'often' never expires"),
    ("E501", {"beat_schedule": {"often": every(60, expires=60)}}, "after 60 s, and is sent again after 60 s"),
    ("E501", {"beat_schedule": {"often": every(60, expires=timedelta(minutes=2))}}, "after 120 s"),
    ("AUD601", {"tasks": {"tick": {"body": "tick.update_state(meta={'done': 1})"}}}, "there is none"),
    ("E701", {"task_time_limit": None}, "1 of 1 tasks have no hard time limit: tick"),
    ("E703", {"tasks": {"tick": {"soft_time_limit": 30}}}, "(30 s) is not below its hard one (20 s)"),
    ("E902", {"line": "worker: celery -A shop worker -c 4\n"}, "the worker worker keeps a process that grew"),
]


@pytest.mark.parametrize(
    ("rule", "project", "words"), BROKEN, ids=[f"{rule}-{words[:20]}" for rule, _, words in BROKEN]
)
def test_a_broken_rule_is_found(tmp_path, rule, project, words):
    faults = found(messages(tmp_path, **project))
    assert words in " ".join(faults.get(rule, [])), faults


def test_nothing_is_found_where_nothing_is_broken(tmp_path):
    caches = {"default": {"LOCATION": "redis://10.0.0.2"}, "locks": {"LOCATION": "redis://10.0.0.1/1"}}
    schedule = {"often": every(60, expires=55)}
    tasks = {"tick": {"body": "with cache.lock('a', timeout=60): work()"}}
    assert found(messages(tmp_path, caches=caches, beat_schedule=schedule, tasks=tasks)) == {}


def test_what_it_cannot_see_is_unknown_and_no_finding(tmp_path):
    schedule = {"often": every(60, expire_seconds=50)}
    tasks = {"tick": {"body": "with one_at_a_time_lock(): pass"}, "other": {"time_limit": None}}
    conf = {
        "beat_scheduler": "django_celery_beat.schedulers:DatabaseScheduler",
        "broker_url": "sqs://",
        "worker_prefetch_multiplier": 4,
        "task_time_limit": None,
        "task_acks_late": True,
    }
    said = messages(tmp_path, line="", beat_schedule=schedule, tasks=tasks, **conf)
    expected = {"E102", "E103", "E301", "AUD301", "E305", "AUD501", "E801", "AUD901"}
    assert expected <= unknown(said)
    assert set(found(said)) == {"E701"}


def test_the_option_that_django_celery_beat_drops_is_found(tmp_path):
    scheduler = {"beat_scheduler": "django_celery_beat.schedulers:DatabaseScheduler"}
    said = messages(tmp_path, beat_schedule={"often": every(60, expires=50)}, **scheduler)
    assert "drops the option expires" in found(said)["E501"][0]
    said = messages(tmp_path, beat_schedule={"often": every(60, expire_seconds=50)}, **scheduler)
    assert "E501" not in found(said)


def test_a_lock_in_a_function_that_the_task_calls_counts(tmp_path):
    body = "helper()\n\ndef helper():\n    with cache.lock('a', timeout=9): work()\n"
    said = messages(tmp_path, beat_schedule={"often": every(60, expires=50)}, tasks={"tick": {"body": body}})
    assert found(said) == {}


def test_a_task_without_source_is_unknown(tmp_path):
    project = project_of(Facts("", GOOD | {"beat_schedule": {"often": every(60, expires=50)}}, {}), tmp_path)
    exec("def lost(): pass", names := {})
    project.app.task(name="tick", shared=False)(names["lost"])
    assert {"E202", "AUD601"} <= unknown(audit(project))


def test_queues_that_a_variable_names_are_unknown(tmp_path):
    said = messages(tmp_path, line="w: celery worker -Q $QUEUES -c $NUMBER", task_default_queue="mails")
    assert {"E301", "E401"} <= unknown(said)
    assert not {"E301", "E401"} & found(said).keys()


def test_a_table_says_what_nothing_else_does(tmp_path):
    queue = TableQueue("celery", target_seconds=30, tasks=("tick",), max_messages=1000)
    project = project_of(Facts("", GOOD, {"tick": {}}, {"Procfile": GOOD_LINE}), tmp_path)
    table = Table((Worker("worker", 4, (queue,)),))
    app = project_of(Facts("", GOOD | LIMITED, {"tick": {}}), tmp_path).app
    assert "E103" not in unknown(audit(type(project)(app, project.commands)))
    without, with_table = (audit(type(project)(project.app, project.commands, {}, each)) for each in (None, table))
    assert {"E103", "E801", "AUD901"} <= unknown(without)
    assert (unknown(with_table), found(with_table)) == (set(), {})
    queue = replace(queue, target_seconds=0)
    table = Table((Worker("worker", 4, (queue,)),))
    assert "E801" in found(audit(type(project)(project.app, project.commands, {}, table)))


def test_mediacms_sends_mail_behind_films(tmp_path):
    faults = found(audit(project_of(MEDIACMS, tmp_path)))
    short = next(fault for fault in faults["AUD301"] if "short_tasks" in fault)
    assert "djcelery_email_send_multiple" in short or "more" in short
    assert "In the queue short_tasks" in short
    assert "wait behind chunkize_media, which may run for 7,200 s" in short
    assert faults["E501"] == [
        f"{name!r} never expires: its runs pile up while no worker is up."
        for name in ("clear_sessions", "get_list_of_popular_media", "update_listings_thumbnails")
    ]
    assert "12 of 12 tasks" in faults["E701"][0]  # soft limits only
    assert "supervisord/long.conf: the worker celery_long runs as many" in faults["E401"][0]
    assert {"E101", "E102", "E202", "E902"} <= faults.keys()
    assert not {"E301", "E302", "E304"} & faults.keys()
    assert {"AUD302", "AUD304"} <= faults.keys()
    assert "one message more" in faults["E305"][0]  # multiplier 1, and early acknowledgement


def test_readthedocs_locks_what_is_slow_and_lets_nothing_expire(tmp_path):
    said = audit(project_of(READTHEDOCS, tmp_path))
    faults = found(said)
    assert len(faults["E501"]) == 6
    assert "core.send_email" in faults["AUD301"][0]
    assert "may run for 10,800 s" in faults["AUD301"][0]
    assert [fault.partition(" is")[0] for fault in faults["E202"]] == [
        "audit.delete_old_personal_audit_logs",
        "builds.delete_closed_external_versions",
        "projects.finish_unhealthy_builds",
    ]
    assert not {"E304", "E305", "E701", "E703", "AUD302"} & faults.keys()
    assert {"E301", "AUD501"} <= unknown(said)  # its process files are in another repository


def test_paperless_lets_each_entry_expire(tmp_path):
    faults = found(audit(project_of(PAPERLESS, tmp_path)))
    assert not {"E501", "E401", "E701", "E902", "E301"} & faults.keys()
    assert {"E101", "E102", "E305"} <= faults.keys()
    assert "behind" in faults["AUD301"][0]  # mails every ten minutes, and tasks of up to half an hour


def test_facts_name_their_repository_and_commit():
    for facts in (MEDIACMS, READTHEDOCS, PAPERLESS):
        assert re.fullmatch(r"github\.com/[\w.-]+/[\w.-]+ [0-9a-f]{40}", facts.source)


def test_each_message_leads_to_its_paragraph():
    assert {practice.number: practice.chapter for practice in registry.PRACTICES} == CHAPTERS
    sources = "".join(path.read_text() for path in (ROOT / "workers/audit/rules").glob("*.py"))
    ours = set(re.findall(r'"(AUD\d+)"', sources))
    text = (ROOT / "docs/lift.md").read_text()
    assert ours == {name.upper() for name in re.findall(r'<a id="(aud\d+)"></a>', text)}
    checks = "".join((ROOT / practice.file).read_text() for practice in registry.PRACTICES)
    shared = set(re.findall(r'"(practices\.E\d+)"', sources))
    assert {rule for rule in shared if f'"{rule}"' not in checks} == set()
    assert Message("practices.E501", "", "").page == f"{CHAPTERS[5]}#e501"
    assert Message("AUD301", "", "").page == "docs/lift.md#aud301"


def test_a_finding_names_a_page_that_a_reader_of_the_project_can_open(tmp_path, monkeypatch):
    """From the project's folder: in the clone that the audit runs from, or that it was copied from."""
    message = Message("practices.E501", "", "")
    monkeypatch.chdir(tmp_path)
    assert Path(report.address(message).partition("#")[0]).resolve() == ROOT / CHAPTERS[5]
    copy("workers.audit.report", tmp_path / "shop")
    origin = tmp_path / "shop/workers/copied_from.txt"
    assert origin.read_text().strip() == str(ROOT)
    monkeypatch.setattr(report, "ORIGIN", origin)
    assert Path(report.address(message).partition("#")[0]).resolve() == ROOT / CHAPTERS[5]
    origin.write_text(str(tmp_path / "gone"))
    assert report.address(message) == f"{CHAPTERS[5]}#e501"


IMPATIENT = """
import socket
from celery import Celery
app = Celery("impatient", broker="redis://127.0.0.1:1/0", backend="redis://127.0.0.1:1/1")
try:
    socket.create_connection(("127.0.0.1", 1), timeout=1)
except OSError as error:
    app.conf.task_default_queue = type(error).__name__

@app.task
def tick():
    pass
"""


def test_it_connects_to_no_server_and_says_so_in_json(tmp_path):
    """The module connects while it is imported: that is refused before the address is."""
    (tmp_path / "impatient.py").write_text(IMPATIENT)
    (tmp_path / "Procfile").write_text("worker: celery -A impatient worker\n")
    done = run_audit(tmp_path, "impatient", "--json")
    rows = {row["rule"]: row for row in json.loads(done.stdout)}
    assert "ConnectionForbiddenError" in rows["practices.E103"]["fault"]
    assert rows["practices.E401"]["verdict"] == "found"
    assert done.returncode == FOUND


def test_an_app_that_cannot_be_imported_is_unknown(tmp_path):
    done = run_audit(tmp_path, "gone.celery:app")
    assert "gone.celery:app cannot be imported: ModuleNotFoundError" in done.stderr
    assert done.returncode == UNKNOWN


def run_audit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In an environment without any setting of ours."""
    environment = {"PYTHONPATH": f"{folder}:{ROOT}", "PATH": "/usr/bin"}
    command = [sys.executable, "-m", "workers.audit", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )


def test_the_site_itself_breaks_no_rule():
    """In a process of its own, which has no tasks of other tests."""
    command = [sys.executable, "manage.py", "practices_audit"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, "AUD501 unknown" in done.stdout) == (UNKNOWN, True), done.stdout
