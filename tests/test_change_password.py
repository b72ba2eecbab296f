"""Somebody changes their password."""

from django.test import Client

from tests.conftest import signed_in

CHANGE, DONE = "/accounts/password_change/", "/accounts/password_change/done/"
OLD, NEW = "a long enough secret", "a better secret by far"


def form(**changes: str) -> dict[str, str]:
    return {"old_password": OLD, "new_password1": NEW, "new_password2": NEW} | changes


def test_the_new_password_holds_and_the_old_one_does_not(alice):
    here = signed_in(alice)
    assert here.get(CHANGE).status_code == 200
    assert here.post(CHANGE, form()).url == DONE
    assert here.get(DONE).status_code == 200
    assert Client().login(username="alice", password=NEW)
    assert not Client().login(username="alice", password=OLD)


def test_every_other_session_of_the_account_ends(alice, as_bob):
    here, elsewhere = signed_in(alice), signed_in(alice)
    here.post(CHANGE, form())
    assert elsewhere.get("/").status_code == 302
    assert here.get("/").status_code == 200
    assert as_bob.get("/").status_code == 200


def test_without_the_old_password_nothing_changes(as_alice, alice):
    response = as_alice.post(CHANGE, form(old_password="a guess"))
    assert "old_password" in response.context["form"].errors
    assert Client().login(username="alice", password=OLD)


def test_a_weak_password_is_refused(as_alice):
    response = as_alice.post(CHANGE, form(new_password1="12345678", new_password2="12345678"))
    assert "new_password2" in response.context["form"].errors


def test_a_stranger_is_asked_to_log_in(client, db):
    assert client.get(CHANGE).url == f"/accounts/login/?next={CHANGE}"
