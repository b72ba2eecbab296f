"""Somebody resets a forgotten password."""

import base64
import json
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from celery.exceptions import Ignore
from django.contrib.auth.tokens import default_token_generator
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mediaapp.models import User
from tests.outages import unreachable_broker
from workers.default import tasks
from workers.default.tasks import send_password_reset
from workers.models import Job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("broker")]
RESET, DONE = "/accounts/password_reset/", "/accounts/password_reset/done/"
NEW = "a better secret by far"


@pytest.fixture(autouse=True)
def kept_mails(settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def request_reset(address: str) -> Job:
    """Fills in the form; returns the job that it queued."""
    before = set(Job.objects.values_list("pk", flat=True))
    assert Client().post(RESET, {"email": address}).url == DONE
    (job,) = Job.objects.exclude(pk__in=before)
    return job


def mail_to(user: User, mailoutbox) -> str:
    """The text of the mail that the worker sends."""
    send_password_reset.run(str(request_reset(user.email).pk))
    (mail,) = mailoutbox
    assert mail.to == [user.email]
    return mail.body


def link_in(text: str) -> str:
    return re.search(r"http\S+", text)[0]


def set_password(link: str, password: str = NEW, browser: Client | None = None):
    """Opens the link, in a fresh browser if none is given, and chooses a new password there."""
    browser = browser or Client()
    page = browser.get(link.removeprefix("http://testserver"), follow=True)
    form = {"new_password1": password, "new_password2": password}
    return browser.post(page.request["PATH_INFO"], form, follow=True)


@pytest.mark.parametrize("unknown", ["nobody@example.com", "inactive@example.com"])
def test_the_answer_is_the_same_whether_the_address_has_an_account_or_not(alice, broker, unknown):
    User.objects.create_user("ina", "inactive@example.com", "a long enough secret", is_active=False)
    answers, costs = [], []
    for address in ("alice@example.com", unknown):
        with CaptureQueriesContext(connection) as queries:
            answers.append(Client().post(RESET, {"email": address}))
        costs.append([re.sub(r"'[^']*'|\d+|NULL", "?", query["sql"]) for query in queries])
    known, other = answers
    assert (known.status_code, known.url, known.content) == (other.status_code, other.url, other.content)
    assert [len(cost) for cost in costs] == [len(costs[0])] * 2
    assert broker.llen("urgent") == Job.objects.count() == 2
    assert Client().get(DONE).status_code == 200


def test_the_message_carries_the_jobs_id_and_nothing_else(alice, broker):
    job = request_reset("alice@example.com")
    (message,) = broker.lrange("urgent", 0, -1)
    arguments, options, _ = json.loads(base64.b64decode(json.loads(message)["body"]))
    assert (arguments, options) == ([str(job.pk)], {})
    assert "alice" not in message.decode()
    assert "alice" not in json.dumps(job.arguments)


def test_the_mail_has_a_link_to_this_site_in_both_its_parts(alice, mailoutbox):
    link = link_in(mail_to(alice, mailoutbox))
    assert link.startswith("http://testserver/accounts/reset/")
    ((html, kind),) = mailoutbox[0].alternatives
    assert kind == "text/html"
    assert f'href="{link}"' in html


def test_the_link_sets_a_new_password_once(alice, mailoutbox):
    link = link_in(mail_to(alice, mailoutbox))
    assert set_password(link).status_code == 200
    assert Client().login(username="alice", password=NEW)
    set_password(link, "yet another secret")
    assert not Client().login(username="alice", password="yet another secret")


def test_an_address_gets_three_mails_an_hour_whoever_asks(alice, bob, mailoutbox):
    for _ in range(5):
        send_password_reset.run(str(request_reset(alice.email).pk))
    assert len(mailoutbox) == 3
    send_password_reset.run(str(request_reset(bob.email).pk))
    assert mailoutbox[3].to == [bob.email]
    Job.objects.update(created_at=timezone.now() - timedelta(hours=1))
    send_password_reset.run(str(request_reset(alice.email).pk))
    assert mailoutbox[4].to == [alice.email]


@pytest.mark.parametrize("way", ["a new password", "a log-in"])
def test_an_owner_who_came_in_gets_links_again(alice, mailoutbox, way):
    for _ in range(5):
        send_password_reset.run(str(request_reset(alice.email).pk))
    if way == "a log-in":
        Client().force_login(alice)
        set_password(link_in(mailoutbox[0].body), NEW)
        assert not Client().login(username="alice", password=NEW)  # no earlier link works then
    else:
        set_password(link_in(mailoutbox[0].body), NEW)
    for _ in range(5):
        send_password_reset.run(str(request_reset(alice.email).pk))
    assert len(mailoutbox) == 6
    set_password(link_in(mailoutbox[3].body), "yet another secret")
    assert Client().login(username="alice", password="yet another secret")


def test_while_no_link_comes_each_earlier_one_works(alice, mailoutbox):
    for _ in range(5):
        send_password_reset.run(str(request_reset(alice.email).pk))
    for mail in mailoutbox:
        assert Client().get(link_in(mail.body).removeprefix("http://testserver"), follow=True).context["validlink"]


def test_the_limit_of_mails_holds_for_requests_at_once(alice):
    def request(_: int) -> None:
        assert Client().post(RESET, {"email": alice.email}).url == DONE
        connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(request, range(16)))
    assert Job.objects.count() == 16
    assert Job.objects.filter(owner=alice).count() == 3


def test_the_answer_beyond_the_limit_is_the_same_as_before(alice, broker):
    answers, costs = [], []
    for _ in range(4):
        with CaptureQueriesContext(connection) as queries:
            answers.append(Client().post(RESET, {"email": alice.email}))
        costs.append(len(queries))
    assert {(answer.status_code, answer.url, answer.content) for answer in answers} == {(302, DONE, b"")}
    assert len(set(costs)) == 1
    assert "three links an hour" in Client().get(DONE).content.decode()


def test_a_weak_password_is_refused(alice, mailoutbox):
    link = link_in(mail_to(alice, mailoutbox))
    assert set_password(link, "12345678").context["form"].errors
    assert not Client().login(username="alice", password="12345678")


def test_a_link_for_another_user_or_a_forged_one_sets_nothing(alice, bob, mailoutbox):
    link = link_in(mail_to(bob, mailoutbox))
    hers = link.replace(link.split("/")[-3], base64.urlsafe_b64encode(str(alice.pk).encode()).decode().rstrip("="))
    for bad in (hers, link[:-5] + "xxxx/", link.replace(link.split("/")[-3], "!!")):
        set_password(bad)
    assert not Client().login(username="alice", password=NEW)
    assert not Client().login(username="bob", password=NEW)


def test_every_session_of_the_account_ends(as_alice, as_bob, alice, mailoutbox):
    set_password(link_in(mail_to(alice, mailoutbox)))
    assert as_alice.get("/").status_code == 302
    assert as_bob.get("/").status_code == 200


@pytest.mark.parametrize("address", ["nobody@example.com", "inactive@example.com"])
def test_an_unknown_address_and_an_inactive_user_get_no_mail(alice, mailoutbox, address):
    User.objects.create_user("ina", "inactive@example.com", "a long enough secret", is_active=False)
    job = request_reset(address)
    send_password_reset.run(str(job.pk))
    assert mailoutbox == []
    job.refresh_from_db()
    assert (job.state, job.result) == (Job.State.DONE, {"sent": False})


def test_a_user_deactivated_before_the_worker_runs_gets_no_mail(alice, mailoutbox):
    job = request_reset(alice.email)
    User.objects.update(is_active=False)
    send_password_reset.run(str(job.pk))
    assert mailoutbox == []


def test_a_second_delivery_sends_no_second_mail(alice, mailoutbox):
    job = request_reset(alice.email)
    send_password_reset.run(str(job.pk))
    with pytest.raises(Ignore):
        send_password_reset.run(str(job.pk))
    assert len(mailoutbox) == 1


def test_the_case_of_the_address_does_not_matter(alice, mailoutbox):
    send_password_reset.run(str(request_reset("ALICE@Example.com").pk))
    assert mailoutbox[0].to == ["alice@example.com"]


def test_while_the_mail_server_is_away_the_job_waits_a_minute_and_keeps_no_token(alice, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    job = request_reset(alice.email)
    send_password_reset.run(str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.dispatched_at) == (Job.State.QUEUED, None)
    assert job.not_before > timezone.now()
    assert default_token_generator.make_token(alice) not in f"{job.message}{job.detail}{job.result}{job.arguments}"


def test_after_an_hour_without_a_mail_server_the_job_fails(alice, settings, monkeypatch):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    job = request_reset(alice.email)
    monkeypatch.setattr(tasks, "MAX_MAIL_FAILURES", 2)
    Job.objects.update(attempt=60)  # attempts that ended for other reasons do not count
    for state in (Job.State.QUEUED, Job.State.FAILED):
        Job.objects.update(not_before=None)
        send_password_reset.run(str(job.pk))
        job.refresh_from_db()
        assert job.state == state


@contextmanager
def rejecting_server(answer: bytes) -> Iterator[int]:
    """The port of a mail server that answers so to every recipient."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            with server.accept()[0] as client, client.makefile("rwb", buffering=0) as lines:
                lines.write(b"220 ready\r\n")
                for line in lines:
                    refused = line.upper().startswith(b"RCPT")
                    lines.write(answer + b"\r\n" if refused else b"250 ok\r\n")
                    if line.upper().startswith(b"QUIT"):
                        return

        thread = threading.Thread(target=talk)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(("answer", "state"), [(b"550 unknown", Job.State.FAILED), (b"451 later", Job.State.QUEUED)])
def test_a_rejected_recipient_is_tried_again_only_if_the_server_says_later(alice, settings, answer, state):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    job = request_reset(alice.email)
    with rejecting_server(answer) as port:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        send_password_reset.run(str(job.pk))
    job.refresh_from_db()
    assert job.state == state
    assert (job.message == "The mail server refused the mail.") == (state == Job.State.FAILED)


def test_with_the_broker_away_the_answer_is_the_same_and_the_job_is_kept(alice):
    with unreachable_broker():
        job = request_reset(alice.email)
    assert (job.state, job.dispatched_at) == (Job.State.QUEUED, None)


@pytest.mark.parametrize("address", ["", "not an address", "a\x00b@example.com", "x" * 300 + "@example.com"])
def test_an_invalid_address_queues_nothing(db, address):
    assert Client().post(RESET, {"email": address}).context["form"].errors
    assert not Job.objects.exists()
