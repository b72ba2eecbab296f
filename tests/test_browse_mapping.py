"""In a real browser, an owner says which line of a file names its columns."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from mediaapp.models import CatalogueItem
from tests.browsing import SLOW, sign_up
from tests.web import serving


@pytest.mark.usefixtures("transactional_db", "broker", "beside_a_browser")
def test_the_owner_says_that_no_line_names_the_columns(browser: Browser, start: Callable, tmp_path: Path):
    """The guess takes the first row for the names, and each choice is previewed."""
    path = tmp_path / "books.csv"
    path.write_text("Dune;Herbert\nUbik;Dick\nEmma;Austen\n")
    start("highmem")
    with serving(tmp_path) as site:
        context = browser.new_context(base_url=f"http://127.0.0.1:{site.port}")
        context.set_default_timeout(SLOW)
        page = context.new_page()
        sign_up(page, "reader")
        page.locator("input[type=file]").set_input_files(path)
        page.wait_for_url("**/mapping/")
        names = page.get_by_label("Names of the columns")
        expect(names).to_have_value("")
        expect(names.locator("option").first).to_have_text("Line 1 (guessed)")
        begin = page.get_by_role("button", name="Start the import")
        expect(page.get_by_text("no row can go in without them.")).to_be_visible()
        expect(begin).to_be_disabled()

        names.select_option("2")
        expect(page.get_by_text("Lines above it are not imported.")).to_be_visible()
        expect(page.get_by_role("heading", name="The first row", exact=True)).to_be_visible()
        expect(page.get_by_role("columnheader", name="Ubik")).to_be_visible()

        names.select_option("none")
        expect(page.get_by_text("The rows begin in line 1.")).to_be_visible()
        expect(page.get_by_role("cell", name="Dune")).to_be_visible()
        page.get_by_label("External ID").select_option("0")
        expect(page.get_by_text("no row can go in without it.")).to_be_visible()
        page.get_by_label("Title").select_option("0")
        page.get_by_label("Creator").select_option("1")
        expect(page.get_by_text("All of the first 3 rows")).to_be_visible()
        begin.click()
        expect(page.locator("#state .tag")).to_contain_text("Imported")
        context.close()
    found = CatalogueItem.objects.order_by("external_id").values_list("external_id", "creator")
    assert list(found) == [("Dune", "Herbert"), ("Emma", "Austen"), ("Ubik", "Dick")]
