"""Sentry gets the errors of requests, tasks and jobs, once each, and no personal data."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from celery import current_app
from django.utils import timezone

from devtools.processes import stop, wait_until
from tests import in_subprocess
from tests.collector import silence
from tests.web import collected
from workers.models import Job

RECYCLED = {"CELERY_WORKER_MAX_TASKS_PER_CHILD": "1", "CELERY_WORKER_INCLUDE": "tests.tasks,tests.faulty_tasks"}
LEAVE = "tests.faulty_tasks.leave_in_a_job"


@contextmanager
def sentry() -> Iterator[tuple[list[dict[str, Any]], dict[str, str]]]:
    """The events that a Sentry on loopback gets, and the environment of a process that reports to it."""
    events = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            lines = (gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body).splitlines()
            items = zip(lines[1::2], lines[2::2], strict=True)
            events.extend(json.loads(item) for header, item in items if json.loads(header)["type"] == "event")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield events, {"SENTRY_DSN": f"http://key@127.0.0.1:{server.server_address[1]}/1", "RELEASE": "v7"}
        server.shutdown()


def error_of(event: dict[str, Any]) -> tuple[str, str]:
    last = event["exception"]["values"][-1]
    return last["type"], last["value"]


def test_failed_tasks_and_jobs_are_reported_once_though_processes_are_recycled_and_a_collector_is_silent(start, broker):
    """A collector of traces that is silent holds up neither the tasks nor the ends of their processes."""
    job = Job.objects.create(task=LEAVE, queue="default", queued_at=timezone.now(), request_id="r" * 20)
    with sentry() as (events, reporting), silence() as tracing:
        worker = start("default", **RECYCLED, **reporting, **tracing)
        current_app.send_task(LEAVE, args=[str(job.pk)], task_id=str(job.pk), queue="default")
        wait_until(lambda: Job.objects.filter(state=Job.State.FAILED), "the job's end")
        current_app.send_task("tests.tasks.fail", queue="default")
        current_app.send_task("tests.tasks.sleep", args=[0], queue="default")
        wait_until(lambda: len(events) >= 2, "two reports")
        stop(worker)
        assert worker.returncode == 0
    of_job, of_task = sorted(events, key=lambda event: event["tags"]["task"])  # they may arrive in any order
    assert error_of(of_job) == ("SystemExit", "3")
    assert {"job": str(job.pk), "queue": "default", "task": LEAVE, "attempt": 1}.items() <= of_job["tags"].items()
    assert (of_job["release"], of_job["level"]) == ("v7", "error")
    assert error_of(of_task) == ("ValueError", "")
    assert (of_task["tags"]["task"], of_task["tags"]["queue"]) == ("tests.tasks.fail", "default")


IN_A_SITE = """
import logging
from wsgiref.util import FileWrapper

import sentry_sdk
from django.test import RequestFactory

from config.wsgi import application
from mediaapp.gateway.wsgi_call import call
from mediaapp.models import User
from mediaapp.views import accounts

def get(path):
    request = RequestFactory(headers={"Cookie": "a=hunter2"}).get(path)
    return call(application, request.environ | {"wsgi.file_wrapper": FileWrapper})

def fail(*_, **__):
    cell = "hunter2"
    logging.getLogger("mediaapp").warning("staff_action actor=%r", "hunter2")
    try:
        User.objects.create(username="other", email="Alice@EXAMPLE.com")
    except Exception as error:
        raise ValueError("amqp://app:hunter2@rabbit//") from error

page = get("/accounts/login/")
(style,) = {part for part in page.body.decode().split('"') if part.endswith(".css") and "site." in part}
file = get(style)
assert (page.status, file.status) == (200, 200)
assert b"{" in file.file.read()
accounts.PasswordResetConfirmView.dispatch = fail
assert get("/accounts/reset/MQ/c0-hunter2/?q=hunter2").status == 500
sentry_sdk.flush(timeout=60)
"""


def test_pages_and_files_are_served_and_an_error_is_reported_without_personal_data(transactional_db, alice):
    """Neither of the request, nor of the log's lines before it, nor of the row that PostgreSQL refuses.

    The SDK wraps the response of the WSGI site, which the gateway looks at.
    """
    with sentry() as (events, reporting):
        in_subprocess.run(f"exec({IN_A_SITE!r})", ALLOWED_HOSTS="testserver", STATIC_ROOT=collected(), **reporting)
    (event,) = events
    _, refused, _ = event["exception"]["values"]
    assert refused["value"].startswith("duplicate key value violates unique constraint")
    assert "example.com" not in json.dumps(event).lower()
    assert error_of(event) == ("ValueError", "amqp://app:...@rabbit//")
    assert event["request"] == {"method": "GET", "url": "http://testserver/accounts/reset/MQ/.../"}
    assert len(event["tags"]["request"]) == 32
    frames = event.pop("exception")["values"][-1]["stacktrace"]["frames"]  # their lines of code are the test's own
    assert [frame for frame in frames if "vars" in frame] == []
    assert "hunter2" not in json.dumps(event)
