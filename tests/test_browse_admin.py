"""Staff use the admin in a real browser, under the site's Content-Security-Policy."""

from pathlib import Path

import pytest
from django.contrib import admin
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from playwright.sync_api import Browser

from mediaapp.models import User
from tests.browsing import SLOW
from tests.factories import upload_of
from tests.web import give_password, serving

PASSWORD = "a third long secret"


@pytest.mark.usefixtures("beside_a_browser")
def test_no_page_of_the_admin_breaks_the_policy(transactional_db, browser: Browser, tmp_path: Path):
    stella = User.objects.create_superuser("stella", "stella@example.com")
    give_password(stella, PASSWORD)
    upload_of(stella)
    schedule = IntervalSchedule.objects.create(every=1, period="days")
    PeriodicTask.objects.create(name="nightly", task="t", interval=schedule)
    errors: list[str] = []
    with serving(tmp_path) as site:
        context = browser.new_context(base_url=f"http://127.0.0.1:{site.port}")
        context.set_default_timeout(SLOW)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
        page.on("console", lambda said: errors.append(f"{page.url}: {said.text}") if "Policy" in said.text else None)
        page.goto("/admin/")
        page.locator("[name=username]").fill("stella")
        page.locator("[name=password]").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/admin/")
        for address in addresses():
            answer = page.goto(address)
            assert answer is not None
            assert answer.status in (200, 403), address
            assert "script" not in answer.headers["content-security-policy"]
        context.close()
    assert errors == []


def addresses() -> list[str]:
    found = []
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found += [reverse(f"{name}_changelist"), reverse(f"{name}_add")]
        if (first := model.objects.first()) is not None:
            found += [reverse(f"{name}_{page}", args=[first.pk]) for page in ("change", "history", "delete")]
    return found
