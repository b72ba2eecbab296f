"""A new user in a real browser, on the real stack: sign up, upload, watch, import, correct rows, reset a password.

On RabbitMQ only what shows it: uploads are the same pages there, and test_run_on_dynos.py has them. SCREENSHOTS names a
folder for pictures of every state.
"""

import re
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from devtools.ports import free_port
from devtools.processes import ROOT
from tests.browsing import (
    BAD,
    NEW_PASSWORD,
    ROWS,
    SLOW,
    mailed_link,
    sign_up,
    slow_script,
    take_screenshots,
    write_catalogue,
)
from tests.site import UpCommand
from tests.videos import make_video, repeat_video

Photograph = Callable[[Page, str], None]
on_both_brokers = pytest.mark.parametrize("site", ["valkey", "rabbitmq"], indirect=True)


@pytest.fixture(scope="module", params=["valkey"])
def site(request: pytest.FixtureRequest) -> Iterator[UpCommand]:
    broker = {"BROKER_URL": request.getfixturevalue("rabbitmq")} if request.param == "rabbitmq" else {}
    with tempfile.TemporaryDirectory(prefix="mediaapp-browse-") as folder:
        up = UpCommand(ROOT, free_port(), LOCAL_DIR=folder, **broker)
        yield up.wait_for_output("Ready: ")
        up.stop(signal.SIGTERM)


@pytest.fixture
def page(browser: Browser, site: UpCommand) -> Iterator[Page]:
    """A page on the site. Any error in the browser's console fails the test."""
    context = browser.new_context(base_url=f"http://127.0.0.1:{site.port}", viewport={"width": 1100, "height": 900})
    context.set_default_timeout(SLOW)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    expected = "status of 422"  # the site rejects a file, which the browser logs as an error
    assert [error for error in errors if expected not in error] == []


@pytest.fixture(scope="module")
def photograph(site: UpCommand) -> Photograph:
    return (lambda page, name: None) if "BROKER_URL" in site.variables else take_screenshots  # the same pages


def test_a_newcomer_uploads_a_video_and_a_catalogue(page: Page, photograph: Photograph, tmp_path: Path):
    sign_up(page, "newcomer")
    photograph(page, "library-empty")

    page.locator("input[type=file]").set_input_files(
        make_video(tmp_path / "holiday.mp4", seconds=15, size="1280x720", rate=25)
    )
    page.wait_for_url(re.compile("/jobs/"))
    expect(page.locator("h1")).to_have_text("holiday.mp4")
    expect(page.locator("#state .tag")).to_contain_text("Running")
    expect(page.locator("#state .tag")).to_have_text(re.compile(r"Running\s\d\d %"))
    photograph(page, "video-running")
    video = page.locator("video")
    expect(video).to_be_visible()
    photograph(page, "video-done")
    expect(video).not_to_have_js_property("readyState", 0)  # the browser has read the length
    assert 14.5 < video.evaluate("video => video.duration") < 15.5
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "holiday.mp4"

    page.goto("/")
    page.locator("input[type=file]").set_input_files(write_catalogue(tmp_path / "catalogue.csv"))
    page.wait_for_url(re.compile("/jobs/"))
    expect(page.locator("#state .tag")).to_contain_text("Imported")
    photograph(page, "import-done")
    figures = page.locator("#state .figures")
    expect(figures).to_contain_text(f"{ROWS - BAD:,}")
    expect(figures).to_contain_text("100")

    with page.expect_download() as download:
        page.get_by_role("link", name="Download rows to mend").click()
    mended = Path(download.value.path()).read_text("utf-8-sig").replace("a lot", "7.00")
    assert mended.count("\n") == BAD + 1
    (tmp_path / "mended.csv").write_text(mended)
    page.goto("/")
    page.locator("input[type=file]").set_input_files(tmp_path / "mended.csv")
    page.wait_for_url(re.compile("/jobs/"))
    expect(page.locator("#state .tag")).to_contain_text("Imported")
    expect(page.locator("#state .figures")).to_contain_text("100")

    page.goto("/catalogue/")
    expect(page.get_by_text(f"{ROWS:,} rows")).to_be_visible()
    page.get_by_role("button", name="Make a report").click()
    page.wait_for_url(re.compile("/jobs/"))
    expect(page.locator("#state .tag")).to_have_text("Ready", timeout=SLOW)
    expect(page.get_by_role("img", name=re.compile("Histogram of Price"))).to_be_visible()
    photograph(page, "report")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    assert Path(download.value.path()).read_text("utf-8-sig").count("\n") == ROWS + 1
    page.goto("/catalogue/")
    expect(page.get_by_role("link", name="Report on your catalogue")).to_be_visible()
    page.get_by_role("searchbox").fill(f"Title {ROWS - 1}")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("cell", name=f"B-{ROWS - 1:06}", exact=True)).to_be_visible()
    photograph(page, "catalogue")
    page.goto("/")
    photograph(page, "library")


GERMAN = "Art.-Nr.;Titel;Autor;Verkaufspreis;Bestand;Erschienen\n" + "".join(
    f"B-{row:04};Die große Stille {row};Anna Härtel;1.{row % 900 + 100},50;{row};0{row % 9 + 1}/04/2024\n"
    for row in range(1200)
)


def test_a_user_maps_a_file_and_the_next_one_like_it_starts_at_once(page: Page, photograph: Photograph, tmp_path: Path):
    sign_up(page, "foreign")
    path = tmp_path / "Lagerliste.csv"
    path.write_bytes((GERMAN + "B-9999;;x;auf Anfrage;1;01/04/2024\n").encode("windows-1252"))
    page.locator("input[type=file]").set_input_files(path)
    page.wait_for_url(re.compile("/mapping/"))
    expect(page.get_by_label("Creator")).to_have_value("2")
    expect(page.get_by_text("Is 03/04 the third of April")).to_be_visible()
    start = page.get_by_role("button", name="Start the import")
    expect(start).to_be_disabled()
    photograph(page, "mapping-doubt")
    page.goto("/")
    expect(page.get_by_text("Waits for you")).to_be_visible()
    photograph(page, "library-waits")
    page.get_by_role("link", name="Lagerliste.csv").click()
    page.get_by_label("Numbers such as").select_option("1,234.56")
    expect(page.get_by_text("is not a number").first).to_be_visible()
    photograph(page, "mapping-rejects")
    page.get_by_label("Numbers such as").select_option("1.234,56")
    expect(page.get_by_text("is not a number")).to_have_count(0)
    page.get_by_label("Dates such as").select_option("31.12.2026")
    expect(start).to_be_enabled()
    expect(page.get_by_text("All of the first 1,000 rows")).to_be_visible()
    photograph(page, "mapping")
    start.click()
    expect(page.locator("#state .tag")).to_contain_text("Imported")
    expect(page.get_by_text("read as Windows-1252, separated by semicolons, with decimal commas")).to_be_visible()
    expect(page.locator("#state .figures")).to_contain_text("1,200")
    photograph(page, "import-mapped")
    page.goto("/")
    page.locator("input[type=file]").set_input_files(path)
    page.wait_for_url(re.compile("/jobs/[0-9a-f-]+/$"))
    expect(page.locator("#state .tag")).to_contain_text("Imported")


def test_a_broken_video_fails_and_can_be_retried(page: Page, photograph: Photograph, tmp_path: Path):
    sign_up(page, "unlucky")
    whole = make_video(tmp_path / "whole.mkv", seconds=3).read_bytes()
    (tmp_path / "broken.mkv").write_bytes(whole[:300] + bytes(len(whole) - 300))
    page.locator("input[type=file]").set_input_files(tmp_path / "broken.mkv")
    page.wait_for_url(re.compile("/jobs/"))
    expect(page.locator("#state .tag")).to_contain_text("Failed")
    photograph(page, "video-failed")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("attempt 2")).to_be_visible()
    expect(page.locator("#state .tag")).to_contain_text("Failed")


def test_a_program_named_mp4_is_rejected_at_once(page: Page, photograph: Photograph, tmp_path: Path):
    sign_up(page, "careless")
    (tmp_path / "film.mp4").write_bytes(b"MZ\x90\x00" + bytes(5000))
    page.locator("input[type=file]").set_input_files(tmp_path / "film.mp4")
    expect(page.locator("#transfers li.bad")).to_contain_text("neither a video nor a CSV file")
    photograph(page, "upload-refused")


def test_a_file_chosen_before_the_script_has_loaded_is_uploaded(page: Page, tmp_path: Path):
    sign_up(page, "hasty")
    (tmp_path / "film.mp4").write_bytes(b"MZ\x90\x00" + bytes(5000))
    with slow_script(page, r"/upload\.js"):
        page.locator("input[type=file]").set_input_files(tmp_path / "film.mp4")
        assert page.locator("#transfers li").count() == 0
    expect(page.locator("#transfers li.bad")).to_have_count(1)


def test_a_mapping_chosen_before_the_script_has_loaded_is_previewed(page: Page, tmp_path: Path):
    sign_up(page, "quick")
    (tmp_path / "days.csv").write_text("external_id,name,released_on\n1,One,03/04/2024\n")
    page.locator("input[type=file]").set_input_files(tmp_path / "days.csv")
    page.wait_for_url(re.compile("/mapping/"))
    start = page.get_by_role("button", name="Start the import")
    with slow_script(page, r"/htmx-2\.min\.js"):
        page.get_by_label("Dates such as").select_option("31.12.2026")
        assert start.is_disabled()
    expect(start).to_be_enabled()


def test_a_queued_and_a_running_video_are_cancelled(page: Page, photograph: Photograph, tmp_path: Path):
    sign_up(page, "impatient")
    long = repeat_video(
        make_video(tmp_path / "short.mp4", seconds=3, size="1280x720", rate=25), 30, tmp_path / "long.mp4"
    )
    for _ in range(2):
        page.goto("/")
        page.locator("input[type=file]").set_input_files(long)
        page.wait_for_url(re.compile("/jobs/"))
    expect(page.locator("#state .tag")).to_contain_text("Queued")
    photograph(page, "video-queued")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#state .tag")).to_contain_text("Cancelled")
    page.goto("/")
    page.get_by_role("link", name="long.mp4").last.click()
    expect(page.get_by_text("transcoding")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#state .tag")).to_contain_text("Cancelled")
    photograph(page, "video-cancelled")


@on_both_brokers
def test_a_user_resets_a_forgotten_password_by_mail(page: Page, photograph: Photograph):
    sign_up(page, "forgetful")
    page.get_by_text("forgetful").click()
    page.get_by_role("button", name="Log out").click()
    page.goto("/accounts/login/")
    photograph(page, "login")
    page.get_by_role("link", name="Forgot your password?").click()
    page.locator("[name=email]").fill("forgetful@example.com")
    photograph(page, "reset")
    page.get_by_role("button").last.click()
    expect(page).to_have_url(re.compile("/accounts/password_reset/done/"))
    photograph(page, "reset-sent")

    link = mailed_link(page, "forgetful@example.com")
    page.goto(link)
    page.locator("[name=new_password1]").fill(NEW_PASSWORD)
    page.locator("[name=new_password2]").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Save the password").click()
    expect(page).to_have_url(re.compile("/accounts/reset/done/"))
    page.goto("/accounts/login/")
    page.locator("[name=username]").fill("forgetful")
    page.locator("[name=password]").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Library")).to_be_visible()
    page.goto(link)
    expect(page.get_by_text("This link works no more")).to_be_visible()


@on_both_brokers
def test_no_practice_fails_on_a_healthy_site(page: Page, photograph: Photograph):
    page.goto("/practices/")
    expect(page.locator("ol.course > li")).to_have_count(9)
    expect(page.get_by_text("The figures are for the staff")).to_be_visible()
    page.goto("/accounts/login/?next=/operations/")
    page.locator("[name=username]").fill("demo")
    page.locator("[name=password]").fill("demo")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#headline")).not_to_contain_text("not hold")  # it refreshes itself
    expect(page.locator("#queue-video .slot")).to_have_count(1)
    photograph(page, "operations")
    page.get_by_role("link", name="Practices", exact=True).click()
    photograph(page, "practices")
    expect(page.get_by_text("Failing", exact=True)).to_have_count(0)


def test_the_site_works_without_javascript(browser: Browser, site: UpCommand, tmp_path: Path):
    context = browser.new_context(base_url=f"http://127.0.0.1:{site.port}", java_script_enabled=False)
    context.set_default_timeout(SLOW)
    page = context.new_page()
    sign_up(page, "plain")
    (tmp_path / "small.csv").write_text("external_id,title\n1,One\n2,Two\n")
    page.locator("input[type=file]").set_input_files(tmp_path / "small.csv")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#state .tag")).to_contain_text("Imported")  # the page reloads itself

    (tmp_path / "days.csv").write_text("external_id,name,released_on\n1,One,03/04/2024\n")
    page.goto("/")
    page.locator("input[type=file]").set_input_files(tmp_path / "days.csv")
    page.get_by_role("button", name="Upload").click()
    page.get_by_label("Dates such as").select_option("31.12.2026")
    page.get_by_role("button", name="Show it so").click()
    page.get_by_role("button", name="Start the import").click()
    expect(page.locator("#state .tag")).to_contain_text("Imported")
    context.close()
