"""LOG_FORMAT=json: each line of each process is a JSON object with its context, its event and its values."""

import json
import logging
from pathlib import Path

import pytest
from celery import current_app

from devtools.processes import stop, wait_until
from devtools.visitor import Visitor
from tests.web import serving
from workers import log_context
from workers.models import Job
from workers.telemetry import run_log

CLICK = "2f6c1d58-5ad5-4c1b-9d6e-6e8c2f3c9a10"
JSON = {"LOG_FORMAT": "json", "RELEASE": "v7"}


def read(log: Path) -> list[dict]:
    """Fails for a line that is no JSON object."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def written(*args: object, **options: object) -> dict:
    """The JSON of one line that a logger of the site writes."""
    logger = logging.getLogger("workers.jobs.dispatch")
    record = logger.makeRecord(logger.name, logging.INFO, "file.py", 1, args[0], args[1:], options.get("exc_info"))
    text = log_context.JsonFormatter("v7").format(record)
    assert "\n" not in text
    return json.loads(text)


@pytest.fixture(autouse=True)
def no_context() -> None:
    log_context.unbind_task()


def test_every_line_of_web_worker_and_beat_is_an_object_that_follows_the_click(start, broker, alice, tmp_path):
    worker = start("default", app="tests.fast_app", **JSON)
    beat = start("beat", app="tests.fast_app", **JSON)
    with serving(tmp_path, WEB_CONCURRENCY="1", **JSON) as web:
        answer = Visitor(web.port, **{"X-Request-ID": CLICK}).post("/accounts/password_reset/", email=alice.email)
        assert answer.status == 200
        wait_until(lambda: Job.objects.filter(state=Job.State.DONE), "the mail")
        current_app.send_task("tests.faulty_tasks.leave", queue="default")
        wait_until(lambda: "FatalTaskError" in (tmp_path / "default0.log").read_text(), "the traceback")
        wait_until(lambda: "beat_leadership_acquired" in (tmp_path / "beat1.log").read_text(), "beat's line")
        stop(worker)
        stop(beat)
        stop(web.process)
    site, worker, beat_lines = read(web.log), read(tmp_path / "default0.log"), read(tmp_path / "beat1.log")
    for line in site + worker + beat_lines:
        assert {"time", "level", "logger", "text", "request", "job", "task", "queue"} <= set(line)
        assert line["release"] == "v7"
    job = Job.objects.get()
    (published,) = [line for line in site if line.get("event") == "job_published"]
    assert (published["request"], published["job"], published["queue"]) == (CLICK, str(job.pk), "urgent")
    (finished,) = [line for line in worker if line.get("event") == "job_finished"]
    assert (finished["request"], finished["job"], finished["state"]) == (CLICK, str(job.pk), "done")
    assert (finished["task"], finished["queue"]) == ("workers.default.tasks.send_password_reset", "urgent")
    assert min(finished["queued"], finished["ran"]) >= 0
    (posted,) = [line for line in site if line.get("event") == "request_answered" and line["method"] == "POST"]
    assert (posted["request"], posted["status"], posted["path"]) == (CLICK, 302, "/accounts/password_reset/")
    assert any("ready" in line["text"] for line in worker if line["logger"].startswith("celery"))
    (ended,) = [line for line in worker if line.get("event") == "task_finished" and line["outcome"] == "failed"]
    assert (ended["task"], ended["queue"]) == ("tests.faulty_tasks.leave", "default")
    assert ended["ran"] >= 0
    assert ended["waited"] >= 0


def test_values_keep_their_types_and_their_names():
    line = written("request_answered path=%r status=%s ms=%s error=%s", "/a 'b'", 200, 1.5, OSError("away"))
    assert line["event"] == "request_answered"
    assert (line["path"], line["status"], line["ms"]) == ("/a 'b'", 200, 1.5)
    assert line["error"] == "OSError('away')"
    assert line["text"] == "request_answered path=\"/a 'b'\" status=200 ms=1.5 error=away"


def test_an_events_value_takes_the_place_of_the_contexts():
    log_context.queue_name.set("default")
    assert written("job_message_ignored")["queue"] == "default"
    assert written("job_published queue=%s", "video")["queue"] == "video"


@pytest.mark.parametrize("message", ["Connected to redis", "events: %s", "Task %(name)s ready", "state=done", ""])
def test_a_line_of_a_library_is_text_alone(message):
    values = ({"name": "x"},) if "%(" in message else ("x",) * message.count("%s")
    line = written(message, *values)
    assert "event" not in line
    assert line["text"] == message % (values[0] if "%(" in message else values)


def test_a_number_that_json_has_not_is_a_text():
    assert written("task_finished ran=%s waited=%s", float("nan"), float("inf"))["ran"] == "nan"


def test_an_exception_is_a_field_and_secrets_are_removed_everywhere():
    try:
        raise ValueError("amqp://app:hunter2@rabbit// and /accounts/reset/MQ/c0-hunter2/")
    except ValueError as error:
        line = written("job_failed error=%r", error, exc_info=(type(error), error, error.__traceback__))
    assert "ValueError" in line["exception"]
    assert "Traceback" in line["exception"]
    assert "amqp://app:...@rabbit//" in line["error"]
    assert "hunter2" not in json.dumps(line)


def test_text_that_utf8_has_not_is_written():
    assert written("upload_store_failed error=%s", "\udc80")["error"] == "\udc80"


def test_a_run_is_logged_only_if_it_is_long_or_failed_unless_somebody_debugs(caplog):
    record = {"task": "a.b", "outcome": "succeeded", "wait_seconds": 0.0204, "run_seconds": 0.5}
    with caplog.at_level(logging.INFO, logger=run_log.log.name):
        run_log.log_run(record)
        assert caplog.messages == []
        run_log.log_run(record | {"run_seconds": 1.25})
        run_log.log_run(record | {"outcome": "failed", "wait_seconds": None})
    with caplog.at_level(logging.DEBUG, logger=run_log.log.name):
        run_log.log_run(record)
    assert caplog.messages == [
        "task_finished task=a.b outcome=succeeded waited=0.02 ran=1.25",
        "task_finished task=a.b outcome=failed waited=None ran=0.5",
        "task_finished task=a.b outcome=succeeded waited=0.02 ran=0.5",
    ]
