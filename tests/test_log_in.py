"""A user logs in and out."""

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from devtools.management.commands import create_demo_user
from tests.conftest import signed_in
from tests.factories import State, upload_of
from tests.outages import make_unreachable

LOGIN, LOGOUT = "/accounts/login/", "/accounts/logout/"
RIGHT = {"username": "alice", "password": "a long enough secret"}
WRONG = RIGHT | {"password": "another long secret"}


def test_a_user_logs_in_and_sees_the_library(client, alice):
    response = client.post(LOGIN, RIGHT, follow=True)
    assert response.redirect_chain == [("/", 302)]
    assert response.wsgi_request.user == alice


def test_the_login_leads_to_the_requested_page(client, alice):
    asked = client.get("/catalogue/")
    assert asked.url == f"{LOGIN}?next=/catalogue/"
    assert client.post(asked.url, RIGHT).url == "/catalogue/"


@pytest.mark.parametrize("foreign", ["//evil.example/", "https://evil.example/", "javascript:alert(1)"])
def test_the_login_does_not_redirect_to_another_site(client, alice, foreign):
    assert client.post(LOGIN, RIGHT | {"next": foreign}).url == "/"


@pytest.mark.parametrize("tried", [WRONG, RIGHT | {"username": "nobody"}, RIGHT | {"username": "al\x00ice"}])
def test_a_wrong_password_or_name_is_refused(client, alice, tried):
    response = client.post(LOGIN, tried)
    assert response.status_code == 200
    assert not response.wsgi_request.user.is_authenticated


def test_a_deactivated_user_cannot_log_in(client, alice):
    alice.is_active = False
    alice.save()
    assert client.post(LOGIN, RIGHT).status_code == 200


def test_a_form_without_csrf_token_logs_nobody_in(alice):
    assert Client(enforce_csrf_checks=True).post(LOGIN, RIGHT).status_code == 403


def test_a_logged_in_user_is_redirected_to_the_library(as_alice):
    assert as_alice.get(LOGIN).url == "/"


def test_a_log_out_ends_this_session_only(alice):
    this_session, other_session = signed_in(alice), signed_in(alice)
    assert this_session.post(LOGOUT).url == LOGIN
    assert this_session.get("/").status_code == 302
    assert other_session.get("/").status_code == 200


def test_a_get_request_logs_nobody_out(as_alice):
    assert as_alice.get(LOGOUT).status_code == 405
    assert as_alice.get("/").status_code == 200


def test_a_session_outlives_the_cache(as_alice, settings):
    make_unreachable(settings, "default")
    make_unreachable(settings, "locks")
    assert as_alice.get("/").status_code == 200


def test_staff_log_in_to_the_admin_on_the_sites_page(client, stella):
    arrived = client.get("/admin/", follow=True)
    assert arrived.redirect_chain[-1][0].startswith(LOGIN)
    after = client.post(
        arrived.redirect_chain[-1][0], {"username": "stella", "password": "a third long secret"}, follow=True
    )
    assert after.request["PATH_INFO"] == "/admin/"


def test_the_demo_user_can_look_at_the_admin_and_change_nothing(client, alice, settings):
    settings.DEBUG = True
    call_command(create_demo_user.Command())
    client.post(LOGIN, {"username": "demo", "password": "demo"})
    assert "Periodic tasks" in client.get("/admin/").content.decode()
    page = f"/admin/mediaapp/user/{alice.pk}/change/"
    assert (client.get(page).status_code, client.post(page, {"username": "mallory"}).status_code) == (200, 403)


def test_the_admin_itself_accepts_no_password(as_alice, stella):
    tried = {"username": "stella", "password": "a third long secret"}
    assert Client().post("/admin/login/", tried).url.startswith(LOGIN)
    assert as_alice.post("/admin/login/", tried).status_code == 403
    assert as_alice.get("/admin/", follow=True).status_code == 403


@pytest.mark.parametrize("action", ["cancel", "retry", "confirm_mapping", "change_mapping", "report_on_upload"])
def test_a_user_whose_session_ended_returns_to_the_page_of_the_button(client, alice, action):
    upload = upload_of(alice, State.NEEDS_MAPPING, kind="csv")
    pressed = client.post(reverse(action, args=[upload.pk]))
    assert "You are logged out, so nothing was done" in client.get(pressed.url).content.decode()
    page = client.post(pressed.url, RIGHT, follow=True)
    assert (page.status_code, page.redirect_chain[-1][0]) == (200, reverse("mapping", args=[upload.pk]))


def test_a_user_whose_session_ended_returns_to_the_catalogue(client, alice):
    pressed = client.post(reverse("report_on_catalogue"))
    assert client.post(pressed.url, RIGHT).url == reverse("catalogue")


def test_an_htmx_request_without_a_session_loads_the_whole_login_page(client, alice):
    page = reverse("mapping", args=[upload_of(alice, State.NEEDS_MAPPING, kind="csv").pk])
    answer = client.post(page, headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, f"{LOGIN}?next={page}")
    assert client.get(page).url == f"{LOGIN}?next={page}"


@pytest.mark.parametrize("page", ["/operations/queues/video/pause/", "/operations/jobs/change/"])
def test_staff_whose_session_ended_return_to_a_page_after_a_click(client, stella, page):
    pressed = client.post(page, {"change": "retry", "all": "yes"})
    assert pressed.url == f"{LOGIN}?next=/operations/"
    assert "You are logged out, so nothing was done" in client.get(pressed.url).content.decode()
    assert client.get("/operations/jobs/?q=state:failed").url == f"{LOGIN}?next=/operations/jobs/%3Fq%3Dstate%3Afailed"


def test_a_poll_of_staff_whose_session_ended_loads_the_whole_login_page(client, stella):
    answer = client.get("/operations/live/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, f"{LOGIN}?next=/operations/")
    assert "nothing was done" not in client.get(LOGIN).content.decode()
