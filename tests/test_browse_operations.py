"""The person on call leaves /operations/ open in a real browser. SCREENSHOTS names a folder for pictures."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from devtools.processes import ROOT
from mediaapp.models import User
from mediaapp.templatetags.formats import duration
from tests.browsing import axe_violations, take_screenshots
from tests.factories import running_upload_of, upload_of
from tests.signed_in import browsing_as
from workers.models import FindingSample, Job, Pause, PracticeState
from workers.practices import registry

SCRIPT = ROOT / "mediaapp/static/mediaapp/operations.js"
ABORTED = "net::ERR_FAILED|htmx:"  # a request that the test itself aborted
REASON = "No worker takes jobs from video. Is the video worker up, with video in its --queues? " * 5


@pytest.fixture
def quiet(transactional_db) -> None:
    """The monitor has found for a day that all nine hold."""
    now = timezone.now()
    for practice in registry.PRACTICES:
        measured = {"number": practice.number, "ok": True, "figure": practice.number}
        PracticeState.objects.create(
            since=now - timedelta(days=3), measured_at=now + timedelta(hours=1), summary="1 of 1", **measured
        )
        FindingSample.objects.bulk_create(
            FindingSample(taken_at=now - timedelta(minutes=minutes), **measured) for minutes in range(0, 1440, 20)
        )


def make_trouble(stella: User) -> None:
    now = timezone.now()
    PracticeState.objects.filter(number=8).update(ok=False, reason=REASON, since=now, figure=1500)
    FindingSample.objects.filter(number=8, taken_at__gt=now - timedelta(hours=2)).update(ok=False, figure=1500)
    for _ in range(3):
        upload_of(
            stella, Job.State.FAILED, message="It has no picture.", error_fingerprint="a1", error="E: " + "x" * 80
        )
    upload_of(stella, Job.State.QUEUED, queued_at=now - timedelta(minutes=25))
    running_upload_of(stella, 43, 100)
    Pause.objects.create(kind="queue", name="imports", paused_by="stella")


def refresh(page: Page) -> None:
    """Sooner than in five seconds, as when the tab is shown again."""
    with page.expect_request("**/operations/live/**") as asked:
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    asked.value.response()


def look(page: Page, name: str) -> list[str]:
    """What axe finds in both colour schemes."""
    take_screenshots(page, f"operations-{name}")
    return axe_violations(page)


@pytest.mark.usefixtures("quiet", "broker", "beside_a_browser")
def test_the_page_turns_from_quiet_to_trouble_by_itself_and_keeps_the_place(
    browser: Browser, stella, as_stella, tmp_path: Path
):
    with browsing_as(as_stella, browser, tmp_path, but=ABORTED) as page:
        page.goto("/operations/")
        expect(page.locator("#headline")).to_contain_text("All nine hold since")
        expect(page).to_have_title(re.compile("All nine hold"))
        assert look(page, "quiet") == []

        page.get_by_role("link", name="Locks", exact=True).focus()
        make_trouble(stella)
        expect(page.locator("#headline")).to_contain_text("Backlog does not hold since")
        expect(page).to_have_title(re.compile("1 of nine does not hold"))
        expect(page.get_by_role("link", name="Locks", exact=True)).to_be_focused()
        assert look(page, "trouble") == []

        reason = page.locator("#reason-8")
        reason.locator("summary").click()
        PracticeState.objects.filter(number=1).update(ok=False, reason="Full.")
        refresh(page)
        expect(page.locator("#headline")).to_contain_text("2 of nine do not hold.")
        expect(reason).to_have_attribute("open", "")

        page.locator("#running td a").first.evaluate("link => getSelection().selectAllChildren(link)")
        refresh(page)
        assert page.evaluate("getSelection().toString()").strip() == "transcode_video"
        page.evaluate("getSelection().removeAllRanges()")
        page.route("**/operations/live/**", lambda route: route.abort())
        refresh(page)
        expect(page.get_by_text("No connection to the site.")).to_be_visible()
        expect(page.locator("#queues time").last).to_have_text(re.compile(r"^([2-9]|\d\d) s ago$"))


def test_ages_that_count_up_go_on_as_the_server_wrote_them(browser: Browser):
    ages = [0.4, 2.7, 99.4, 99.9, 100, 119, 5999, 6100, 7199, 7201, 9001, 172_799, 172_801, 400_000]
    (function,) = re.findall(r"  function duration\(.*?\n  }\n", SCRIPT.read_text(), re.DOTALL)
    page = browser.new_page()
    assert page.evaluate(f"ages => {{ {function} return ages.map(duration); }}", ages) == [*map(duration, ages)]
    page.close()


@pytest.mark.usefixtures("quiet", "broker", "beside_a_browser")
def test_it_is_a_plain_page_with_a_reload_link_without_javascript(as_stella, browser: Browser, tmp_path: Path):
    with browsing_as(as_stella, browser, tmp_path, java_script_enabled=False) as page:
        page.goto("/operations/")
        expect(page.locator("#headline")).to_contain_text("All nine hold since")
        PracticeState.objects.filter(number=1).update(ok=False, reason="Full.")
        page.get_by_role("link", name="Reload").click()
        expect(page.locator("#headline")).to_contain_text("Broker memory does not hold")
