"""Staff read the runbooks in a real browser: on a phone, in the dark, with a screen reader, by the keyboard."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from mediaapp.models import User
from tests.browsing import PASSWORD, SLOW, axe_violations, take_screenshots
from tests.web import give_password, serving
from workers.models import PracticeState

REASON = "No worker takes jobs from video. Is the video worker up, with video in its --queues?"


@pytest.mark.usefixtures("beside_a_browser")
def test_a_runbook_reads_well_everywhere(transactional_db, browser: Browser, tmp_path: Path):
    give_password(User.objects.create_superuser("stella", "stella@example.com"), PASSWORD)
    now = timezone.now()
    newest = {"ok": True, "summary": "messages waiting: 12", "since": now - timedelta(minutes=7), "measured_at": now}
    PracticeState.objects.bulk_create(PracticeState(number=number, **newest) for number in range(1, 10))
    PracticeState.objects.filter(number=8).update(ok=False, reason=REASON)
    errors: list[str] = []
    with serving(tmp_path) as site:
        context = browser.new_context(base_url=f"http://127.0.0.1:{site.port}")
        context.set_default_timeout(SLOW)
        page = context.new_page()
        page.on("console", lambda said: errors.append(f"{page.url}: {said.text}") if said.type == "error" else None)
        page.goto("/operations/runbooks/")
        page.locator("[name=username]").fill("stella")
        page.locator("[name=password]").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", level=1, name="Runbooks")).to_be_visible()
        page.get_by_role("link", name="Backlog").click()
        expect(page.get_by_role("region", name="Now")).to_contain_text(REASON)
        expect(page.get_by_role("row", name="No living worker consumes it")).to_contain_text("Now")
        take_screenshots(page, "runbook")
        found = axe_violations(page)
        context.close()
    assert found == []
    assert errors == []
