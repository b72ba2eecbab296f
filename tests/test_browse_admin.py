"""Staff use the admin in a real browser, under the site's Content-Security-Policy."""

from pathlib import Path

import pytest
from django.contrib import admin
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from playwright.sync_api import Browser

from mediaapp.models import User
from tests.factories import upload_of
from tests.signed_in import browsing_as


@pytest.mark.usefixtures("transactional_db", "beside_a_browser")
def test_no_page_of_the_admin_breaks_the_policy(stella, as_stella, browser: Browser, tmp_path: Path):
    User.objects.update(is_superuser=True)
    upload_of(stella)
    schedule = IntervalSchedule.objects.create(every=1, period="days")
    PeriodicTask.objects.create(name="nightly", task="t", interval=schedule)
    # A page that nobody may see answers 403, and the admin has no icon of its own.
    with browsing_as(as_stella, browser, tmp_path, but="status of 40[34]") as page:
        for address in addresses():
            answer = page.goto(address)
            assert answer is not None
            assert answer.status in (200, 403), address
            assert "script" not in answer.headers["content-security-policy"]


def addresses() -> list[str]:
    found = []
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found += [reverse(f"{name}_changelist"), reverse(f"{name}_add")]
        if (first := model.objects.first()) is not None:
            found += [reverse(f"{name}_{page}", args=[first.pk]) for page in ("change", "history", "delete")]
    return found
