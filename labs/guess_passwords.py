"""Can strangers fill the server of the locks? `python -m labs guess_passwords [tries]` (100,000: 3 minutes).

One client guesses far beyond its limits. Then STRANGERS guess once each, until the cache is full and evicts, while the
first one goes on. No refused try may get through. The locks' server may grow by less than 100 KB, and a lock can be
taken all the time.
"""

import json
import sys

from django.conf import settings
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django_redis import get_redis_connection

from mediaapp.rate_limits import count_try, login_limits
from workers.practices import locks

MAX_GROWTH = 100_000  # bytes
CACHE_BYTES, STRANGERS = 8_000_000, 30_000  # of three counters each
BY_HTTP = 100  # of the tries; the others ask for the limits as the form does
LOGIN = "/accounts/login/"


def main() -> int:
    """Print the figures as JSON. Returns 1 if one is over its limit."""
    tries = int(sys.argv[1]) if sys.argv[1:] else 100_000
    settings.TRIES_PER_CLIENT = settings.TRIES_PER_ADDRESS = "50/1h"
    cache, server = get_redis_connection("default"), get_redis_connection("locks")
    cache.config_set("maxmemory", CACHE_BYTES)
    while count_try(login_limits(request_from("192.0.2.1"), "guessed")) == 0:
        pass
    with locks.exclusive("any", lease=30):  # whose scripts and connections stay
        pass
    before = used_bytes(server)
    browser, through = Client(headers={"Host": "127.0.0.1"}), 0
    for number in range(tries):
        if number < BY_HTTP:
            through += browser.post(LOGIN, {"username": f"name {number}"}, REMOTE_ADDR="192.0.2.1").status_code != 429
        else:
            through += count_try(login_limits(request_from("192.0.2.1"), f"name {number}")) == 0
    found = {"refused": tries, "grown_by_refused": used_bytes(server) - before}
    for number in range(STRANGERS):
        count_try(login_limits(request_from(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"), f"name {number}"))
        if number % 100 == 0:
            through += count_try(login_limits(request_from("192.0.2.1"), "guessed")) == 0
            with locks.exclusive("any", lease=30):
                pass
    found |= {"let_through": through, "grown": used_bytes(server) - before, "evicted": cache.info()["evicted_keys"]}
    print(json.dumps(found))
    return int(through > 0 or found["grown"] >= MAX_GROWTH or not found["evicted"])


def request_from(client: str) -> HttpRequest:
    return RequestFactory().post(LOGIN, REMOTE_ADDR=client)


def used_bytes(server: object) -> int:
    return int(server.info("memory")["used_memory"])  # type: ignore[attr-defined]
