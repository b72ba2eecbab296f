"""Somebody takes the course in a real browser: on a phone, in the dark, with a screen reader, by the keyboard."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from devtools.lab.result import path_of, save
from tests.browsing import axe_violations, take_screenshots
from tests.lab_results import result
from tests.signed_in import browsing_as

PAGES = {
    "course": "/practices/",
    "chapter": "/practices/3/",
    "exercise": "/practices/5/exercises/find/",
}

pytestmark = pytest.mark.usefixtures("transactional_db", "beside_a_browser")


@pytest.fixture
def own_result(settings) -> Iterator[None]:
    """Of lab 3, which this machine ran."""
    path = path_of(3, "Valkey", settings.LOCAL_DIR / "labs")
    save(result("Valkey 9.1", 0.05, age=timedelta(minutes=12)), path)
    yield
    path.unlink()


def test_a_learner_reads_takes_the_quiz_and_shows_the_slides(
    as_stella, own_result: None, browser: Browser, tmp_path: Path
):
    """One test, because each site that is started takes seconds."""
    with browsing_as(as_stella, browser, tmp_path) as page:
        for name, address in PAGES.items():
            page.goto(address)
            if name == "chapter":
                page.locator("#lab summary").click()
            assert_reads_well(page, name)
        page.goto("/docs/metrics/")
        take_screenshots(page, "document")  # the widest table
        take_the_quiz(page)
        assert_reads_well(page, "quiz")
        page_through_the_slides(page)
        assert_reads_well(page, "slides")
        printed = re.findall(rb"/Type\s*/Page\b", page.pdf(landscape=True, format="A4"))
        assert len(printed) == page.locator(".slide").count()


def assert_reads_well(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate("[...document.images].filter(each => !each.naturalWidth).map(each => each.src)") == []
    take_screenshots(page, name)
    assert axe_violations(page) == []


def take_the_quiz(page: Page) -> None:
    page.goto("/practices/quiz/?practice=3")
    for question in page.locator("fieldset").all():
        question.get_by_role("radio").first.check()
    page.get_by_role("button", name="Grade it").click()
    expect(page.get_by_role("status")).to_contain_text("right")
    expect(page.get_by_text("Your answer").first).to_be_visible()


def page_through_the_slides(page: Page) -> None:
    page.goto("/docs/workshop/slides/")
    for key, slide in (("ArrowRight", 1), ("PageDown", 2), ("ArrowLeft", 1), ("End", -1), ("ArrowRight", -1)):
        page.keyboard.press(key)
        expect(page.locator(".slide").nth(slide)).to_be_in_viewport(ratio=0.9)
