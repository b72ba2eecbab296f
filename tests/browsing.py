"""The browser, and what a person does in it again and again."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
SLOW = 120_000  # milliseconds that anything may take on a busy machine
ROWS, BAD = 20_000, 100
PASSWORD, NEW_PASSWORD = "correct horse battery", "staple tractor violin"


@pytest.fixture(scope="module")
def beside_a_browser() -> Iterator[None]:
    """For the database of the tests' own process, which Django takes for an asynchronous one while a browser runs."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    yield
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent(f"no {CHROMIUM}: apt-get install chromium, or set CHROMIUM")
    expect.set_options(timeout=SLOW)
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=CHROMIUM) as chromium:
        yield chromium


def write_catalogue(path: Path) -> Path:
    with path.open("w") as file:
        file.write("External ID,Title,Creator,Released on,Price\n")
        for row in range(ROWS):
            price = "a lot" if row % (ROWS // BAD) == 3 else f"{row % 90}.50"
            file.write(f"B-{row:06},Title {row},Creator {row % 977},20{row % 20:02}-05-01,{price}\n")
    return path


def sign_up(page: Page, name: str) -> None:
    page.goto("/accounts/signup/")
    page.locator("[name=username]").fill(name)
    page.locator("[name=email]").fill(f"{name}@example.com")
    page.locator("[name=password1]").fill(PASSWORD)
    page.locator("[name=password2]").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Library")).to_be_visible()


def mailed_link(page: Page, address: str) -> str:
    """The link in the mail that the page of mails shows, as a newcomer clicks it."""
    mail = page.get_by_text(address)
    for _ in range(240):
        page.goto("/dev/mail/")
        if mail.count():
            break
        page.wait_for_timeout(500)
    mail.first.click()
    href = page.frame_locator("iframe").locator("a[href*='/accounts/reset/']").first.get_attribute("href")
    assert href
    return href


def take_screenshots(page: Page, name: str) -> None:
    """Desktop, phone, and 320 px, to which WCAG zooms a page. Fails if it scrolls sideways.

    Pictures, light and dark, only if SCREENSHOTS is set.
    """
    folder = os.environ.get("SCREENSHOTS")
    for scheme in ("light", "dark") if folder else ("light",):
        page.emulate_media(color_scheme=scheme)
        for width in (1100, 375, 320):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways"
            if folder:
                page.screenshot(path=Path(folder) / f"{name}-{width}-{scheme}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1100, "height": 900})


def axe_violations(page: Page) -> list[str]:
    """What axe finds on the page, a line for each: its rule, the reason, and the elements.

    In the dark only the contrast differs.
    """
    page.emulate_media(color_scheme="dark")
    found = Axe().run(page, options={"runOnly": ["color-contrast"]}).response["violations"]
    page.emulate_media(color_scheme="light")
    found += Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['help']} {[element for node in each['nodes'] for element in node['target']]}"
        for each in found
    ]


@contextmanager
def slow_script(page: Page, name: str) -> Iterator[None]:
    """The page is open, and its script loads only when the block ends."""
    held: list[Route] = []
    page.route(re.compile(name), lambda route: held.append(route))
    with page.expect_request(re.compile(name)):
        page.goto(page.url, wait_until="commit")
    yield
    assert len(held) == 1
    held[0].continue_()
    page.unroute(re.compile(name))
