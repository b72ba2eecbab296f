"""A browser in which a user is signed in, on a site of its own."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.browsing import SLOW
from tests.web import serving


@contextmanager
def browsing_as(client: Client, browser: Browser, folder: Path, *, but: str = "^$", **options: Any) -> Iterator[Page]:
    """A page of the site, for the user of the client. Its server logs into `folder`.

    Fails if a script of a page fails, or if the console has another error than those that `but` matches.
    options: of the browser's context.
    """
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not re.search(but, message.text):
            errors.append(f"{page.url}: {message.text}")

    with serving(folder) as site:
        url = f"http://127.0.0.1:{site.port}"
        options = {"viewport": {"width": 1100, "height": 900}} | options
        with closing(browser.new_context(base_url=url, **options)) as context:
            context.set_default_timeout(SLOW)
            cookie = client.cookies[settings.SESSION_COOKIE_NAME]
            context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": url}])
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
            page.on("console", note)
            yield page
    assert not errors, errors
