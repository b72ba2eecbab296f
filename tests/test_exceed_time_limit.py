"""The soft time limit raises wherever a task is: in a query, or while a mail server says nothing."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection

from devtools.processes import wait_until
from tests.test_reset_password import request_reset
from workers import jobs
from workers.database.base import Connection
from workers.default.tasks import send_password_reset
from workers.models import Job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker")]


@contextmanager
def limit_when(wait: Callable[[], object]) -> Iterator[None]:
    """A thread waits, then the main thread gets the signal of a soft limit, as a pool's process does."""

    def raise_limit(*_: object) -> None:
        raise SoftTimeLimitExceeded

    def send() -> None:
        wait()
        signal.pthread_kill(main, signal.SIGUSR1)

    main, sender = threading.get_ident(), threading.Thread(target=send)
    former = signal.signal(signal.SIGUSR1, raise_limit)
    sender.start()
    try:
        yield
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, former)


def test_a_limit_in_a_query_fails_the_job_with_its_message(alice):
    def wait_for_query() -> None:
        sleeping = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)' AND state = 'active'"
        with connection.copy().cursor() as cursor:
            wait_until(lambda: cursor.execute(sleeping).fetchone(), "the query")
            cursor.connection.close()

    job = jobs.create("workers.video.tasks.transcode_video", owner_id=alice.pk, arguments={"source": "x"})
    with limit_when(wait_for_query), jobs.working_on(str(job.pk)), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(600)")
    job.refresh_from_db()
    assert (job.state, job.message) == (Job.State.FAILED, jobs.user_messages.TIME_LIMIT_EXCEEDED)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # smtplib closes its socket late
def test_a_mail_that_takes_longer_than_its_task_may_is_tried_again(alice, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    job = request_reset(alice.email)
    mails: list[object] = []  # each stays open
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.EMAIL_HOST, settings.EMAIL_PORT = silent.getsockname()
        with limit_when(lambda: mails.append(silent.accept()[0])):
            send_password_reset.run(str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.message) == (Job.State.QUEUED, "The mail server did not answer: it is too slow")


def test_a_query_that_cannot_go_on_closes_its_connection():
    """A limit may raise in psycopg's own code: then there is nothing left that could read the end of the query."""
    connection.ensure_connection()
    ours = connection.connection.info
    where = {name: getattr(ours, name) for name in ("host", "port", "user", "password", "dbname")}
    with Connection.connect(**where) as interrupted:
        interrupted.pgconn.send_query(b"SELECT pg_sleep(600)")
        interrupted._leave_query(generator for generator in ())
        assert interrupted.closed
