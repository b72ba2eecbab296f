"""Somebody takes the course in a real browser: on a phone, in the dark, with a screen reader, by the keyboard."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsing import axe_violations, take_screenshots
from tests.signed_in import browsing_as

PAGES = {
    "course": "/practices/",
    "chapter": "/practices/3/",
    "document": "/docs/metrics/",  # the widest table
}

pytestmark = pytest.mark.usefixtures("transactional_db", "beside_a_browser")


@pytest.fixture
def learner(as_stella, browser: Browser, tmp_path: Path) -> Iterator[Page]:
    with browsing_as(as_stella, browser, tmp_path) as page:
        yield page


def test_the_pages_of_the_course_read_well_everywhere(learner: Page):
    for name, address in PAGES.items():
        learner.goto(address)
        expect(learner.get_by_role("heading", level=1)).to_be_visible()
        if name == "chapter":
            learner.locator("#lab summary").click()
        assert learner.evaluate("[...document.images].filter(each => !each.naturalWidth).map(each => each.src)") == []
        take_screenshots(learner, name)
        assert axe_violations(learner) == []


def test_a_learner_takes_the_quiz_and_reads_why(learner: Page):
    learner.goto("/practices/quiz/?practice=3")
    for question in learner.locator("fieldset").all():
        question.get_by_role("radio").first.check()
    learner.get_by_role("button", name="Grade it").click()
    expect(learner.get_by_role("status")).to_contain_text("right")
    expect(learner.get_by_text("Your answer").first).to_be_visible()
    take_screenshots(learner, "quiz")
    assert axe_violations(learner) == []


def test_a_presenter_goes_through_the_slides_by_the_keyboard(learner: Page):
    learner.goto("/docs/workshop/slides/")
    for key, slide in (("ArrowRight", 1), ("PageDown", 2), ("ArrowLeft", 1), ("End", -1), ("ArrowRight", -1)):
        learner.keyboard.press(key)
        expect(learner.locator(".slide").nth(slide)).to_be_in_viewport(ratio=0.9)
    take_screenshots(learner, "slides")
    assert axe_violations(learner) == []
    pages = re.findall(rb"/Type\s*/Page\b", learner.pdf(landscape=True, format="A4"))
    assert len(pages) == learner.locator(".slide").count()
