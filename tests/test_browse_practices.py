"""Somebody learns in a real browser: documents and chapters, on a phone, in the dark, with a screen reader."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsing import axe_violations, take_screenshots
from tests.signed_in import browsing_as

PAGES = {
    "document": "/docs/metrics/",  # the widest table
    "documents": "/docs/",
    "chapter": "/practices/3/",
}


@pytest.mark.usefixtures("transactional_db", "beside_a_browser")
def test_the_pages_of_the_course_read_well_everywhere(as_alice, browser: Browser, tmp_path: Path):
    with browsing_as(as_alice, browser, tmp_path) as page:
        for name, address in PAGES.items():
            page.goto(address)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert broken_pictures(page) == []
            take_screenshots(page, name)
            assert axe_violations(page) == []


def broken_pictures(page: Page) -> list[str]:
    return page.evaluate("[...document.images].filter(each => !each.naturalWidth).map(each => each.src)")
