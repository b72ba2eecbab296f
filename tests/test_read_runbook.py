"""Staff read a runbook in the site: what to do, under what is measured now."""

import re
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mediaapp import documents
from workers.models import PracticeState
from workers.practices import registry

BROKER = "/operations/runbooks/1-broker-memory/"


@pytest.fixture
def states(db) -> None:
    """The monitor has just found that all nine hold."""
    now = timezone.now()
    newest = {"ok": True, "summary": "3 messages", "since": now - timedelta(hours=2), "measured_at": now}
    PracticeState.objects.bulk_create(PracticeState(number=each.number, **newest) for each in registry.PRACTICES)


def set_state(number: int, **fields: object) -> None:
    PracticeState.objects.filter(number=number).update(**fields)


def read(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == HTTPStatus.OK
    return answer.content.decode()


@pytest.mark.parametrize("address", [BROKER, "/operations/runbooks/"])
def test_only_staff_read_it(address: str, client: Client, as_alice: Client, as_stella: Client, states: None):
    assert client.get(address).url == f"/accounts/login/?next={address}"
    assert as_alice.get(address).status_code == HTTPStatus.NOT_FOUND
    assert as_stella.get(address).status_code == HTTPStatus.OK


@pytest.mark.parametrize("practice", registry.PRACTICES, ids=lambda practice: practice.title)
def test_every_practice_has_one(practice: registry.Practice, as_stella: Client, states: None):
    address = reverse("runbook", args=[Path(practice.runbook).stem])
    assert address == documents.page_of(practice.runbook)
    heading = rf"<h1>\s*{documents.title(practice.runbook)}\s*</h1>"
    assert re.search(heading, read(as_stella, address))


@pytest.mark.parametrize("slug", ["no-such", "README", "..", "..%2Fdeploy", "%2Fetc%2Fpasswd", "1-broker-memory.md"])
def test_there_is_no_other_file_behind_the_address(slug: str, as_stella: Client):
    assert as_stella.get(f"/operations/runbooks/{slug}/").status_code == HTTPStatus.NOT_FOUND


def test_on_top_stands_whether_the_practice_holds(as_stella: Client, states: None):
    assert '<span class="tag good">Holds</span>' in (page := read(as_stella, BROKER))
    assert "3 messages" in page
    set_state(1, ok=False, reason="The <broker> is full.")
    assert '<span class="tag bad">Failing</span>' in (page := read(as_stella, BROKER))
    assert "The &lt;broker&gt; is full." in page
    assert "What unknown means" not in page
    set_state(1, ok=None)
    assert '<span class="tag off">Unknown</span>' in (page := read(as_stella, BROKER))
    assert 'href="/operations/runbooks/#it-says-unknown">What unknown means</a>' in page
    assert ' id="it-says-unknown"' in read(as_stella, "/operations/runbooks/")


def test_an_old_finding_is_not_shown_as_that_of_now(as_stella: Client, states: None):
    assert "the monitor is silent" not in read(as_stella, BROKER)
    PracticeState.objects.update(measured_at=timezone.now() - timedelta(hours=3))
    page = read(as_stella, BROKER)
    assert '<a href="/operations/runbooks/heartbeat/">the monitor is silent</a>' in page
    assert "3 messages" not in page


def test_the_rows_that_speak_of_now_are_marked(as_stella: Client, states: None):
    said = (
        "Nobody reads video: start a video worker. a@b has been silent for 20 s: it is stopped, or its machine is lost."
    )
    set_state(8, ok=False, reason=said)
    page = read(as_stella, "/operations/runbooks/8-backlog/")
    assert page.count('id="now"') == page.count('href="#now"') == 1
    marked = re.findall(r'<tr class="now"[^>]*>\s*<td><span class="tag bad">Now</span> (.{30})', page)
    assert marked == ["&quot;Nobody reads …: start a ", "&quot;… has been silent for … "]
    set_state(7, ok=None, reason="No run was collected in the last 10 minutes. Are beat and the a worker up?")
    assert "Now</span> &quot;No run" in read(as_stella, "/operations/runbooks/7-timing/")
    set_state(8, ok=True, reason="")
    assert "Now</span>" not in read(as_stella, "/operations/runbooks/8-backlog/")


def test_a_chapter_has_no_links_to_pages_that_its_reader_cannot_see(as_alice: Client, as_stella: Client, states: None):
    link = 'href="/operations/'
    assert link in documents.render("docs/2-locks.md")
    assert link not in documents.render("docs/2-locks.md", for_staff=False)
    assert "the runbook (<code>docs/runbooks/2-locks.md</code>)" in (page := read(as_alice, "/practices/2/"))
    assert link not in page
    assert '<a href="/operations/runbooks/2-locks/">the runbook</a>' in read(as_stella, "/practices/2/")
    assert '<a href="/practices/2/">The chapter</a>' in read(as_stella, "/operations/runbooks/2-locks/")
