"""Staff read the runbooks in a real browser: on a phone, in the dark, with a screen reader, by the keyboard."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from tests.browsing import axe_violations, take_screenshots
from tests.signed_in import browsing_as
from workers.models import PracticeState

REASON = "No worker takes jobs from video. Is the video worker up, with video in its --queues?"


@pytest.mark.usefixtures("transactional_db", "beside_a_browser")
def test_a_runbook_reads_well_everywhere(as_stella, browser: Browser, tmp_path: Path):
    now = timezone.now()
    newest = {"ok": True, "summary": "messages waiting: 12", "since": now - timedelta(minutes=7), "measured_at": now}
    PracticeState.objects.bulk_create(PracticeState(number=number, **newest) for number in range(1, 10))
    PracticeState.objects.filter(number=8).update(ok=False, reason=REASON)
    with browsing_as(as_stella, browser, tmp_path) as page:
        page.goto("/operations/runbooks/")
        expect(page.get_by_role("heading", level=1, name="Runbooks")).to_be_visible()
        page.get_by_role("link", name="Backlog").click()
        expect(page.get_by_role("region", name="Now")).to_contain_text(REASON)
        expect(page.get_by_role("row", name="No living worker consumes it")).to_contain_text("Now")
        take_screenshots(page, "runbook")
        assert axe_violations(page) == []
