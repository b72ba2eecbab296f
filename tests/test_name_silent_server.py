"""A server is away: the page on call and the mail name it, not only what cannot be measured without it."""

import pytest
from django.utils import timezone

from tests.alarms import subjects
from tests.outages import UNREACHABLE_URL
from tests.test_show_operations import ago, set_state, text_of, write_states
from workers.clock_format import clock_time

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_server_that_is_away_is_named_first_and_once(as_stella):
    write_states(timezone.now())
    since = ago(minutes=20)
    set_state(1, ok=None, since=since, reason="The broker did not answer: timed out")
    set_state(8, ok=None, since=ago(minutes=19), reason="The broker did not answer: timed out Nobody has sampled.")
    set_state(5, ok=False, since=ago(days=1), reason="a is late. The cache did not answer, where beat leaves: x")
    page = " ".join(as_stella.get("/operations/").content.decode().split())
    text = text_of(as_stella, part="headline")
    first = f"The broker does not answer since {clock_time(since)}. Uploads are still taken and wait;"
    assert text.index(first) < text.index("The cache does not answer. Progress bars have no percentages; jobs go on.")
    assert text.count("does not answer") == 2
    assert text.index("The cache does not answer.") < text.index("1 of nine does not hold, and 2 cannot be measured.")
    assert page.count('href="/operations/runbooks/silent-server/"') == 2
    assert "<title>The broker does not answer ·" in page.replace("<title> ", "<title>")


def test_a_silent_management_api_is_no_silent_server(as_stella):
    write_states(timezone.now())
    set_state(1, ok=None, reason="RabbitMQ's management API did not answer: TimeoutError()")
    assert "does not answer" not in text_of(as_stella, part="headline")


def test_the_mail_names_the_server_that_did_not_answer(smtp, go, settings):
    settings.ALERT_AFTER_SECONDS = dict.fromkeys(range(1, 10), 0) | {1: 0.001}
    settings.BROKER_URL = UNREACHABLE_URL
    go(3)
    assert subjects(smtp) == ["[testserver] Broker memory cannot be measured: the broker does not answer"]
    assert ": the broker does not answer." in " ".join(smtp.mails[0].get_content().split())
