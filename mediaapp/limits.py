"""How often one may try to log in, sign up or reset: per address that is typed in, and per client."""

import logging

from django.conf import settings
from django.http import HttpRequest
from django_fast_ratelimit import Action, get_ratelimit
from django_redis.exceptions import ConnectionInterrupted

log = logging.getLogger(__name__)

SENTENCE = "Too many tries. Wait ten minutes, then try again."


def too_many_tries(request: HttpRequest, group: str, address: str) -> bool:
    """Counts a try. True if either this address or this client has had its share.

    Counts stand beside the locks, where cache.clear() does not reset them. With that server away nobody is refused.
    """
    counted = {
        f"{group} address": (settings.TRIES_PER_ADDRESS, address.strip().casefold()),
        f"{group} client": (settings.TRIES_PER_CLIENT, client_of(request)),
    }
    try:
        limits = [
            get_ratelimit(group=name, key=key.encode(), rate=rate, action=Action.INCREASE, cache="locks")
            for name, (rate, key) in counted.items()
        ]
    except ConnectionInterrupted as error:
        log.warning("tries are not counted now: %s", error)
        return False
    return any(limit.request_limit for limit in limits)


def client_of(request: HttpRequest) -> str:
    """The client's network address. Only what our own proxies added to X-Forwarded-For counts: the rest is hearsay."""
    if not settings.PROXIES:
        return str(request.META.get("REMOTE_ADDR", ""))
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    return str(hops[-min(settings.PROXIES, len(hops))]).strip()
