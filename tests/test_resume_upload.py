"""A real browser loses its connection during an upload, and continues it."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from playwright.sync_api import Browser, Page, Route, expect

from devtools.ports import free_port, is_free
from devtools.processes import killed_at_end, wait_until, wait_until_ready
from tests.browsing import SLOW, sign_up
from tests.conftest import environment
from tests.direct_uploads import bucket_contents

PART = 8 * 1024**2
LOST = re.compile(r"Connection lost. Trying again in \d+ s.")

pytestmark = pytest.mark.usefixtures("beside_a_browser")


@pytest.fixture
def site(transactional_db: None, bucket: dict[str, str], settings, tmp_path: Path) -> Iterator[str]:
    """The URL of a web process with a bucket that accepts uploads from its pages."""
    port = free_port()
    url = settings.SITE_URL = f"http://127.0.0.1:{port}"
    call_command("prepare_storage")
    variables = environment(**bucket, SITE_URL=url, PORT=str(port), WEB_CONCURRENCY="1", DEBUG="true")
    command = [sys.executable, "-m", "config.server"]
    log = tmp_path / "web.log"
    with killed_at_end(command, log, environment=variables) as web:
        wait_until_ready(web, lambda: not is_free(port), log)
        yield url


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    context = browser.new_context(base_url=site)
    context.set_default_timeout(SLOW)
    page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept())  # "Leave the page? An upload is on its way"
    yield page
    context.close()


def choose(page: Page, file: Path) -> None:
    page.locator("input[type=file]").set_input_files(file)


def next_of(held: list[Route], page: Page) -> Route:
    """Waits for the next held request."""
    for _ in range(SLOW // 100):
        if held:
            return held.pop()
        page.wait_for_timeout(100)
    pytest.fail("the page sends no more requests")


def test_an_interrupted_upload_continues_where_it_ended(page: Page, bucket: dict[str, str], tmp_path: Path):
    sent: list[str] = []  # straight to the bucket
    page.on("request", lambda request: sent.append(request.url) if bucket["S3_BUCKET"] in request.url else None)
    sign_up(page, "patient")
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    small.write_text("external_id,title\n1,One\n")
    choose(page, small)
    page.wait_for_url(re.compile("/jobs/"))
    expect(page.locator("h1")).to_have_text("small.csv")
    assert len(sent) == 1

    held: list[Route] = []
    page.route(re.compile("partNumber=2"), lambda route: route.abort("connectionfailed"))
    page.route(re.compile("partNumber=3"), lambda route: held.append(route))  # no built-in: playwright marks it
    large.write_text("external_id,title\n" + "".join(f"{row:07},A title of some length\n" for row in range(600_000)))
    assert 2 * PART < large.stat().st_size < 3 * PART
    page.goto("/")
    choose(page, large)
    expect(page.get_by_text(LOST)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Begun and not finished")).to_be_visible()
    expect(page.locator(".open-uploads")).to_contain_text("large.csv")

    page.unroute(re.compile("partNumber=2"))
    page.route(re.compile("partNumber=2"), lambda route: held.append(route))
    del sent[:]
    choose(page, large)
    expect(page.get_by_text("It goes on where it ended.", exact=True)).to_be_visible()
    expect(page.get_by_text("Begun and not finished")).to_be_hidden()
    next_of(held, page).abort("connectionreset")
    expect(page.get_by_text(LOST)).to_be_visible()
    next_of(held, page).continue_()
    next_of(held, page).continue_()
    page.wait_for_url(re.compile("/jobs/"))
    expect(page.locator("h1")).to_have_text("large.csv")
    page.goto("/")
    expect(page.get_by_text("Begun and not finished")).to_have_count(0)
    assert [re.findall(r"partNumber=(\d)", url) for url in sent] == [["2"], ["2"], ["3"]]

    page.route(re.compile("partNumber=1"), lambda route: route.abort("connectionfailed"))
    os.utime(large, (0, 0))  # another file
    choose(page, large)
    expect(page.get_by_text(LOST)).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled. Nothing of the file is kept.")).to_be_visible()
    wait_until(lambda: -1 not in bucket_contents().values(), "the parts to be gone")
