"""Staff pause and resume a queue and an entry in a real browser, and read it in the log."""

from pathlib import Path

import pytest
from celery import current_app
from django_celery_beat.schedulers import DatabaseScheduler
from playwright.sync_api import Browser, expect

from mediaapp.models import User
from tests.browsing import PASSWORD, SLOW, axe_violations, take_screenshots
from tests.web import give_password, serving
from workers.telemetry import pauses

ENTRY = "roll up task runs every hour"


@pytest.mark.usefixtures("beside_a_browser", "broker")
def test_a_click_pauses_a_click_resumes_and_the_log_has_both(
    transactional_db, stella: User, browser: Browser, tmp_path: Path
):
    give_password(stella, PASSWORD)
    DatabaseScheduler(app=current_app._get_current_object(), lazy=False)
    with serving(tmp_path) as site:
        page = browser.new_context(base_url=f"http://127.0.0.1:{site.port}").new_page()
        page.set_default_timeout(SLOW)
        page.goto("/operations/queues/video/")
        page.locator("[name=username]").fill("stella")
        page.locator("[name=password]").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
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
