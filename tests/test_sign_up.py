"""A visitor creates an account."""

import pytest
from django.db.models.signals import pre_save
from django.urls import reverse

from mediaapp.models import User

SECRET = "a long enough secret"
SIGN_UP = "/accounts/signup/"


def form(**changes: str) -> dict[str, str]:
    return {"username": "carol", "email": "carol@example.com", "password1": SECRET, "password2": SECRET} | changes


def test_the_sign_up_page_opens(client, db):
    assert client.get(SIGN_UP).status_code == 200


def test_a_new_user_is_logged_in_and_sees_the_library(client, db):
    response = client.post(SIGN_UP, form(), follow=True)
    assert response.redirect_chain == [("/", 302)]
    assert response.wsgi_request.user == User.objects.get(username="carol", email="carol@example.com")


@pytest.mark.parametrize("address", ["alice@example.com", "ALICE@example.com", "Alice@Example.COM"])
def test_an_email_address_has_one_account_regardless_of_case(client, alice, address):
    response = client.post(SIGN_UP, form(email=address))
    assert response.status_code == 200
    assert "Log in, or reset its password" in response.content.decode()
    assert User.objects.count() == 1


def test_another_email_address_gets_an_account(client, alice):
    assert client.post(SIGN_UP, form(email="alice@example.org")).status_code == 302


def test_a_name_has_one_account_regardless_of_case(client, alice):
    assert client.post(SIGN_UP, form(username="Alice")).status_code == 200
    assert User.objects.count() == 1


def test_password_managers_recognise_the_name_field(client, db):
    assert client.get(SIGN_UP).context["form"].fields["username"].widget.attrs["autocomplete"] == "username"


@pytest.mark.parametrize("password", ["short1!", "password123", "83746592837", "carol@example.com"])
def test_a_weak_password_is_refused(client, db, password):
    response = client.post(SIGN_UP, form(password1=password, password2=password))
    assert response.context["form"].errors.keys() == {"password2"}
    assert not User.objects.exists()


@pytest.mark.parametrize("field", ["username", "email", "password1", "password2"])
def test_every_field_is_required(client, db, field):
    response = client.post(SIGN_UP, form(**{field: ""}))
    assert field in response.context["form"].errors
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_form_sent_twice_at_once_creates_one_account(client):
    def press_again(instance, **_):
        User.objects.bulk_create([User(username=instance.username, email=instance.email)])

    pre_save.connect(press_again, sender=User)
    try:
        response = client.post(SIGN_UP, form())
    finally:
        pre_save.disconnect(press_again, sender=User)
    assert "username" in response.context["form"].errors
    assert User.objects.count() == 1


def test_a_logged_in_user_is_redirected_to_the_library(as_alice):
    assert as_alice.get(SIGN_UP).url == reverse("library")
    assert as_alice.post(SIGN_UP, form()).url == reverse("library")
    assert User.objects.count() == 1
