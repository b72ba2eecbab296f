"""Limits tries to log in, sign up or reset a password.

Strangers make these counters, so they are on the cache's server, which is bounded and evicts the least used: a counter
of a guesser is in use. A try is counted before it is made, so that many at once stay within the limit. A refused one
writes nothing.
"""

import logging
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from mediaapp.clients import client_address
from mediaapp.known_browsers import read_browser_id

log = logging.getLogger(__name__)

PERIOD_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Lua, which the server runs as one step. KEYS: counters. ARGV: for each its limit and its seconds.
COUNT = """
local wait = 0
for i, counter in ipairs(KEYS) do
    if tonumber(redis.call('GET', counter) or 0) >= tonumber(ARGV[2 * i - 1]) then
        wait = math.max(wait, redis.call('TTL', counter), 1)
    end
end
if wait == 0 then
    for i, counter in ipairs(KEYS) do
        if redis.call('INCR', counter) == 1 then redis.call('EXPIRE', counter, ARGV[2 * i]) end
    end
end
return wait
"""
GIVE_BACK = """
for _, counter in ipairs(KEYS) do
    if tonumber(redis.call('GET', counter) or 0) > 0 then redis.call('DECR', counter) end
end
"""


@dataclass(frozen=True)
class Limit:
    """key: of the counter."""

    key: str
    tries: int
    seconds: int


def form_limits(request: HttpRequest, form: str) -> list[Limit]:
    return [_limit(settings.TRIES_PER_CLIENT, form, "client", client_address(request))]


def login_limits(request: HttpRequest, name: str) -> list[Limit]:
    """A browser that this user has logged in with has a counter of its own: no stranger can keep it out."""
    name = normalize_name(name)
    if browser_id := read_browser_id(request, name):
        return [_limit(settings.TRIES_PER_ADDRESS, "login", "browser", name, browser_id)]
    return [
        *form_limits(request, "login"),
        _limit(settings.TRIES_PER_ADDRESS, "login", "name and client", name, client_address(request)),
        _limit(settings.TRIES_PER_ACCOUNT, "login", "name", name),
    ]


def count_try(limits: Sequence[Limit]) -> int:
    """Returns 0, or the seconds until the next try if one of the limits is reached.

    While the server is away, no try is refused.
    """
    keys, values = (
        [limit.key for limit in limits],
        [value for limit in limits for value in (limit.tries, limit.seconds)],
    )
    try:
        return int(get_redis_connection("default").eval(COUNT, len(keys), *keys, *values))
    except RedisError as error:
        log.warning("rate_limit_skipped error=%r", error)
        return 0


def give_back(limits: Sequence[Limit]) -> None:
    """For a counted try that was none: the password was right, or nobody could look at it."""
    keys = [limit.key for limit in limits]
    try:
        get_redis_connection("default").eval(GIVE_BACK, len(keys), *keys)
    except RedisError as error:
        log.warning("rate_limit_skipped error=%r", error)


def _limit(rate: str, form: str, *counted: str) -> Limit:
    # A hash: the server learns neither addresses nor names, and all keys are short.
    digest = salted_hmac("tries", "\0".join(counted)).hexdigest()[:32]
    return Limit(f"tries:{form}:{digest}", *parse_rate(rate))


@cache
def parse_rate(rate: str) -> tuple[int, int]:
    """Tries and seconds of a rate such as 10/10m. Raises ValueError."""
    tries, _, period = rate.partition("/")
    if period[-1:] not in PERIOD_SECONDS:
        raise ValueError(rate)
    return int(tries), int(period[:-1] or 1) * PERIOD_SECONDS[period[-1]]


def normalize_name(name: str) -> str:
    """Variants of a letter share one count."""
    return unicodedata.normalize("NFKC", name).strip().casefold()
