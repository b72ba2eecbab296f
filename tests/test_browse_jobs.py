"""The staff look for jobs and retry many in a real browser: axe finds nothing, and nothing scrolls sideways.

SCREENSHOTS names a folder for pictures of each page.
"""

from datetime import timedelta
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from mediaapp.models import User
from tests.browsing import axe_violations, take_screenshots
from tests.factories import State, upload_of
from tests.signed_in import browsing_as
from workers import jobs
from workers.error_fingerprint import fingerprint_text
from workers.models import Job

ERRORS = ("StorageUnavailableError: no answer from the bucket in 5 s", "ValueError: bad price in row 7")


def fill(alice: User, bob: User) -> None:
    """An evening with failures."""
    upload_of(alice, State.NEEDS_MAPPING, kind="csv")
    for minutes in range(60):
        error = ERRORS[minutes % 5 == 0]
        owner, kind = (alice, bob)[minutes % 3 == 0], ("csv", "video")[minutes % 4 == 0]
        state = (State.FAILED, State.DONE, State.FAILED, State.QUEUED, State.DONE)[minutes % 5]
        failed = {"error": error, "error_fingerprint": fingerprint_text(error), "message": "Something went wrong."}
        name = f"{('price list', 'Holiday in the mountains, second part, final version')[minutes % 4 == 0]} {minutes}"
        upload = upload_of(owner, state, kind=kind, name=name, attempt=1, **failed if state == State.FAILED else {})
        moment = timezone.now() - timedelta(minutes=minutes)
        times = {"queued_at": moment, "started_at": moment if state != State.QUEUED else None}
        Job.objects.filter(pk=upload.pk).update(created_at=moment, **times)
        Job.objects.filter(pk=upload.pk, finished_at__isnull=False).update(finished_at=moment)


def add_attempts(job: Job) -> None:
    now = timezone.now()
    for number, outcome, error in ((1, "lost", ""), (2, "requeued", ERRORS[0]), (3, "failed", ERRORS[1])):
        began = now - timedelta(minutes=30 - 9 * number)
        job.attempts.create(
            number=number, worker="highmem@web-1.example.com", release="v42", started_at=began, outcome=outcome,
            ended_at=began + timedelta(seconds=42 * number), error=error, request_id="2f6c1d585ad54c1b9d6e6e8c2f3c9a10",
            message=jobs.user_messages.WORKER_DIED if outcome == "lost" else "",
        )  # fmt: skip
    clicked = now - timedelta(minutes=31)
    Job.objects.filter(pk=job.pk).update(
        request_id="2f6c1d585ad54c1b9d6e6e8c2f3c9a10", attempt=3, created_at=clicked, queued_at=clicked
    )


def look_at(page: Page, name: str) -> None:
    take_screenshots(page, name)
    assert axe_violations(page) == [], name


@pytest.mark.usefixtures("transactional_db", "beside_a_browser")
def test_failed_jobs_are_found_looked_at_and_retried(alice, bob, as_stella, broker, browser: Browser, tmp_path: Path):
    with browsing_as(as_stella, browser, tmp_path) as page:
        page.goto("/operations/jobs/")
        look_at(page, "jobs-quiet")
        fill(alice, bob)
        page.goto("/operations/jobs/")
        look_at(page, "jobs")
        page.get_by_label("Search for jobs").fill("colour:red")
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_text("There is no field “colour”")).to_be_visible()
        page.get_by_role("link", name="Failed", exact=True).click()
        page.get_by_role("link", name="Failures by error").click()
        look_at(page, "jobs-by-error")
        page.get_by_role("link", name=ERRORS[1]).click()
        expect(page.locator("tbody tr").first).to_contain_text(ERRORS[1])
        found = page.locator("tbody tr").count()
        failed = Job.objects.filter(error=ERRORS[1]).latest("finished_at")
        add_attempts(failed)
        page.locator("tbody a").first.click()
        expect(page.get_by_role("heading", name="For the staff")).to_be_visible()
        look_at(page, "job-for-staff")
        page.get_by_role("link", name="All with this error").click()
        page.locator("tbody input").first.check()
        page.get_by_role("button", name="Retry the ticked").first.click()
        expect(page.locator("h1")).to_have_text("Retry 1 failed job?")
        page.get_by_role("link", name="Back to the jobs").click()
        page.get_by_role("link", name="Retry all that match").click()
        expect(page.locator("h1")).to_contain_text(f"Retry {found} failed jobs?")
        look_at(page, "jobs-retry")
        page.get_by_role("button", name="Retry them").click()
        expect(page.locator("h1")).to_have_text(f"Retry {found} jobs")
        action = Job.objects.get(queue="maintenance")
        with jobs.working_on(str(action.pk)) as job:
            jobs.change_selected(job)
        expect(page.get_by_text(f"{found} retried.")).to_be_visible()  # the page polls
        look_at(page, "change-done")
        assert page.url.endswith(reverse("job", args=[action.pk]))
