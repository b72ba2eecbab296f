"""A stranger guesses passwords: the stranger is stopped, the owner gets in, and no server fills."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import Client
from django_redis import get_redis_connection

from devtools.processes import wait_until
from mediaapp import rate_limits
from mediaapp.models import User
from mediaapp.rate_limits import Limit, count_try
from tests.outages import make_unreachable, refusing_address, unreachable_database
from tests.test_reset_password import link_in, mail_to, set_password

LOGIN = "/accounts/login/"
FORMS = {LOGIN: "username", "/accounts/signup/": "email", "/accounts/password_reset/": "email"}
PASSWORD = "a long enough secret"


@pytest.fixture(autouse=True)
def few_tries(settings) -> None:
    settings.TRIES_PER_ADDRESS, settings.TRIES_PER_CLIENT, settings.TRIES_PER_ACCOUNT = "3/10m", "5/10m", "8/10m"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def log_in(name: str, password: str, client: str = "192.0.2.1", browser: Client | None = None):
    return (browser or Client()).post(LOGIN, {"username": name, "password": password}, REMOTE_ADDR=client)


def guess(name: str = "alice", client: str = "192.0.2.1", times: int = 3) -> None:
    for number in range(times):
        assert log_in(name, f"guess {number}", client).status_code == 200


def known_browser(name: str = "alice", password: str = PASSWORD) -> Client:
    """A browser in which the user has logged in and out."""
    browser = Client()
    assert log_in(name, password, "198.51.100.1", browser).status_code == 302
    browser.post("/accounts/logout/")
    return browser


def test_the_guesser_is_refused_and_the_owner_gets_in_from_elsewhere(alice):
    guess()
    assert log_in("alice", "another guess").status_code == 429
    assert log_in("alice", PASSWORD, "192.0.2.2").status_code == 302


def test_a_refused_try_says_what_to_do_and_when(alice):
    guess()
    refused = log_in("alice", "another guess")
    assert 0 < int(refused.headers["Retry-After"]) <= 600
    text = refused.content.decode()
    assert "nothing is changed" in text
    assert "Try again in 10 minutes, or choose a new password by mail" in text


def test_a_refused_try_does_not_reveal_whether_the_password_is_right(alice):
    guess()
    wrong, right = log_in("alice", "a guess"), log_in("alice", PASSWORD)
    assert (wrong.status_code, right.status_code) == (429, 429)
    assert wrong.context["form"].errors == right.context["form"].errors == {}
    assert "sessionid" not in right.cookies


def test_a_browser_of_the_owner_gets_in_beside_the_guesser(alice):
    browser = known_browser()
    guess()
    guess("bob", times=2)
    assert log_in("carol", "a guess").status_code == 429
    assert log_in("alice", PASSWORD, browser=browser).status_code == 302


def test_a_browser_of_another_user_or_a_forged_one_does_not(alice, bob):
    guess()
    forged = Client()
    forged.cookies["browser"] = known_browser().cookies["browser"].value.replace(":", "x:", 1)
    for browser in (known_browser("bob", "another long secret"), forged):
        assert log_in("alice", PASSWORD, browser=browser).status_code == 429


def test_wrong_tries_in_a_browser_of_the_owner_are_limited_too(alice):
    browser = known_browser()
    for number in range(3):
        assert log_in("alice", f"guess {number}", browser=browser).status_code == 200
    assert log_in("alice", PASSWORD, browser=browser).status_code == 429
    assert log_in("alice", PASSWORD).status_code == 302


def test_guesses_from_many_clients_are_limited_and_spare_a_browser_of_the_owner(alice):
    browser = known_browser()
    for number in range(8):
        guess(client=f"203.0.113.{number}", times=1)
    assert log_in("alice", PASSWORD, "203.0.113.9").status_code == 429
    assert log_in("alice", PASSWORD, "203.0.113.9", browser).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_a_new_password_by_mail_lets_the_owner_in_at_once(alice, broker, mailoutbox):
    guess()
    browser, new = Client(), "a better secret by far"
    set_password(link_in(mail_to(alice, mailoutbox)), new, browser)
    assert log_in("alice", new).status_code == 429
    assert log_in("alice", new, browser=browser).status_code == 302


def test_right_passwords_are_free(alice):
    users = [User.objects.create_user(f"pupil{number}", f"{number}@example.com", PASSWORD) for number in range(9)]
    for user in users:
        assert log_in(user.username, PASSWORD).status_code == 302


def test_wrong_tries_count_between_logins_of_another_user(alice, bob):
    for _ in range(3):
        guess(times=1)
        assert log_in("bob", "another long secret").status_code == 302
    assert log_in("alice", PASSWORD).status_code == 429


@pytest.mark.django_db(transaction=True)
def test_a_password_that_nobody_could_look_at_is_no_try(alice):
    patient = Client(raise_request_exception=False)
    with refusing_address() as address, unreachable_database(address):
        for _ in range(4):
            assert log_in("alice", PASSWORD, browser=patient).status_code == 503
    assert log_in("alice", PASSWORD).status_code == 302


@pytest.mark.parametrize("page", FORMS)
def test_one_client_gets_no_more_tries_by_other_names(db, page):
    for number in range(5):
        answer = Client().post(page, {FORMS[page]: f"{number}@example.com"})
        assert answer.status_code != 429
    refused = Client().post(page, {FORMS[page]: "6@example.com"})
    assert (refused.status_code, "Retry-After" in refused.headers) == (429, True)
    assert Client().post(page, {FORMS[page]: "6@example.com"}, REMOTE_ADDR="192.0.2.2").status_code != 429


@pytest.mark.parametrize("form", [" Alice ", "ALICE", "\uff41lice"])  # a full-width a
def test_variants_of_the_same_letters_share_one_count(db, form):
    guess()
    assert log_in(form, "a guess").status_code == 429


def test_each_form_has_its_own_count(db):
    for number in range(5):
        guess(str(number), times=1)
    assert log_in("6", "a guess").status_code == 429
    assert Client().post("/accounts/password_reset/", {"email": "x@example.com"}).status_code == 302


@pytest.mark.parametrize("page", FORMS)
def test_a_get_request_is_no_try(db, page):
    for _ in range(9):
        assert Client().get(page).status_code == 200


def test_many_tries_at_once_are_no_more_than_the_limit():
    limits = [Limit("tries:a", 5, 600), Limit("tries:b", 9, 600)]
    with ThreadPoolExecutor(16) as threads:
        waits = list(threads.map(count_try, [limits] * 200))
    assert waits.count(0) == 5


def test_a_limit_ends_with_its_period():
    limits = [Limit("tries:a", 1, 5)]
    assert count_try(limits) == 0
    assert 0 < count_try(limits) <= 5
    wait_until(lambda: count_try(limits) == 0, "the end of the period")


def test_refused_tries_write_nothing_and_no_try_writes_to_the_server_of_the_locks(db):
    counters, locks = get_redis_connection("default"), get_redis_connection("locks")
    guess("alice", times=3)
    guess("bob", times=2)
    before = {key: counters.get(key) for key in counters.keys("tries:*")}
    for number in range(50):
        assert log_in(f"name {number}", "a guess").status_code == 429
    assert {key: counters.get(key) for key in counters.keys("tries:*")} == before
    assert all(0 < counters.ttl(key) <= 600 for key in before)
    assert locks.dbsize() == 0


def test_no_try_is_refused_while_the_cache_is_away_and_the_log_says_so(alice, settings, caplog):
    make_unreachable(settings, "default")
    for _ in range(6):
        assert log_in("alice", "a guess").status_code == 200
    assert log_in("alice", PASSWORD).status_code == 302
    assert "rate_limit_skipped" in caplog.text


@pytest.mark.parametrize(("rate", "parsed"), [("10/10m", (10, 600)), ("3/h", (3, 3600)), ("1/2d", (1, 172800))])
def test_a_rate_has_a_number_and_a_period(rate, parsed):
    assert rate_limits.parse_rate(rate) == parsed
