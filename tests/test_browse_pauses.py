"""Staff pause and resume a queue and an entry in a real browser, and read it in the log."""

from pathlib import Path

import pytest
from celery import current_app
from django_celery_beat.schedulers import DatabaseScheduler
from playwright.sync_api import Browser, expect

from tests.browsing import axe_violations, take_screenshots
from tests.signed_in import browsing_as
from workers.telemetry import pauses

ENTRY = "roll up task runs every hour"


@pytest.mark.usefixtures("transactional_db", "beside_a_browser", "broker")
def test_a_click_pauses_a_click_resumes_and_the_log_has_both(as_stella, browser: Browser, tmp_path: Path):
    DatabaseScheduler(app=current_app._get_current_object(), lazy=False)
    with browsing_as(as_stella, browser, tmp_path) as page:
        page.goto("/operations/queues/video/")
        page.get_by_role("button", name="Pause the queue video").click()
        expect(page.get_by_text("The queue video is paused")).to_be_visible()
        expect(page.get_by_text("Paused by stella since")).to_be_visible()
        assert page.url.endswith("/operations/queues/video/")
        assert axe_violations(page) == []

        page.goto("/operations/")
        page.get_by_role("button", name=f"Pause: {ENTRY}").click()
        expect(page.get_by_text(f"{ENTRY} is paused")).to_be_visible()
        expect(page.get_by_text("Paused by stella since")).to_have_count(2)  # the queue's card, and the entry
        assert axe_violations(page) == []
        page.get_by_role("button", name=f"Run now: {ENTRY}").click()
        expect(page.get_by_text(f"{ENTRY} was sent")).to_be_visible()
        page.get_by_role("button", name=f"Resume: {ENTRY}").click()
        page.get_by_role("button", name="Resume the queue video").click()
        expect(page.get_by_text("The queue video is resumed")).to_be_visible()
        expect(page.get_by_text("Paused by stella since")).to_have_count(0)
        assert pauses.paused_queues() == {}

        page.get_by_role("link", name="Log", exact=True).click()
        first = page.get_by_role("row").nth(1)
        expect(first).to_contain_text("stella resumed the queue video")
        take_screenshots(page, "log")
        assert axe_violations(page) == []
        page.get_by_label("What").select_option("run_entry")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("row")).to_have_count(2)
