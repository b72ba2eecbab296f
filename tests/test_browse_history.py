"""The pages of a queue, a task and the workers in a real browser: axe finds nothing, and nothing scrolls sideways.

SCREENSHOTS names a folder for pictures of each, quiet and in trouble.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browsing import axe_violations, take_screenshots
from tests.histories import TASK, fill_day, give_signs_of_life
from tests.signed_in import browsing_as
from workers.models import Pause

PAGES = {
    "queue": ("/operations/queues/video/", "Queue video"),
    "queue-year": ("/operations/queues/video/?period=year", "Queue video"),
    "task": (f"/operations/tasks/{TASK}/", "Task transcode_video"),
    "workers": ("/operations/workers/", "Workers"),
}


@pytest.mark.usefixtures("transactional_db", "beside_a_browser")
def test_each_page_is_for_everybody_quiet_and_in_trouble(alice, as_stella, browser: Browser, tmp_path: Path):
    with browsing_as(as_stella, browser, tmp_path) as page:
        for state in ("quiet", "in-trouble"):
            fill_day(alice, in_trouble=state == "in-trouble")
            for name, (address, heading) in PAGES.items():
                if (state, name) == ("quiet", "queue-year"):
                    continue  # it differs from the day's page in its charts alone
                give_signs_of_life(in_trouble=state == "in-trouble")
                page.goto(address)
                expect(page.locator("h1")).to_have_text(heading)
                take_screenshots(page, f"{name}-{state}")
                assert axe_violations(page) == [], f"{name} {state}"
        page.goto(PAGES["queue"][0])
        page.get_by_role("link", name="30 days").click()
        expect(page.get_by_role("link", name="30 days")).to_have_attribute("aria-current", "true")
        for name in ("queue", "workers"):
            Pause.objects.all().delete()
            page.goto(PAGES[name][0])
            link = page.locator("#live a").first
            link.focus()
            Pause.objects.create(kind="queue", name="video", paused_by="bob")
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # sooner than in five seconds
            expect(page.locator("#live")).to_contain_text("by bob since")
            expect(link).to_be_focused()
