"""A user changes the password."""

from django.test import Client

from tests.conftest import signed_in

CHANGE, DONE = "/accounts/password_change/", "/accounts/password_change/done/"
OLD, NEW = "a long enough secret", "a better secret by far"


def form(**changes: str) -> dict[str, str]:
    return {"old_password": OLD, "new_password1": NEW, "new_password2": NEW} | changes


def test_a_user_logs_in_with_the_new_password_only(alice):
    browser = signed_in(alice)
    assert browser.get(CHANGE).status_code == 200
    assert browser.post(CHANGE, form()).url == DONE
    assert browser.get(DONE).status_code == 200
    assert Client().login(username="alice", password=NEW)
    assert not Client().login(username="alice", password=OLD)


def test_a_new_password_ends_all_other_sessions(alice, as_bob):
    browser, other = signed_in(alice), signed_in(alice)
    browser.post(CHANGE, form())
    assert other.get("/").status_code == 302
    assert browser.get("/").status_code == 200
    assert as_bob.get("/").status_code == 200


def test_without_the_old_password_nothing_changes(as_alice, alice):
    response = as_alice.post(CHANGE, form(old_password="a guess"))
    assert "old_password" in response.context["form"].errors
    assert Client().login(username="alice", password=OLD)


def test_a_weak_password_is_refused(as_alice):
    response = as_alice.post(CHANGE, form(new_password1="12345678", new_password2="12345678"))
    assert "new_password2" in response.context["form"].errors


def test_a_visitor_is_redirected_to_the_login(client, db):
    assert client.get(CHANGE).url == f"/accounts/login/?next={CHANGE}"
