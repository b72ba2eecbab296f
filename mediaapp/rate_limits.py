"""Limits tries to log in, sign up or reset a password."""

import logging
import unicodedata
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest
from django_fast_ratelimit import Action, Ratelimit, get_ratelimit
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

TOO_MANY_TRIES_MESSAGE = "Too many tries. Wait a while, then try again."


def is_over_try_limit(request: HttpRequest, group: str, address: str) -> bool:
    """Counts a try on the locks server, which cache.clear() leaves alone. If it is away, no try is refused."""
    limits = [
        _limit(f"{group} address", normalize_address(address), settings.TRIES_PER_ADDRESS, Action.INCREASE),
        _limit(f"{group} client", client_address(request), settings.TRIES_PER_CLIENT, Action.INCREASE),
    ]
    return any(limit.request_limit for limit in limits if limit)


def reset_tries(group: str, address: str) -> None:
    """The client's count stays: it may be guessing other accounts' passwords."""
    _limit(f"{group} address", normalize_address(address), settings.TRIES_PER_ADDRESS, Action.RESET)


def _limit(group: str, key: str, rate: str, action: Action) -> Ratelimit | None:
    try:
        return get_ratelimit(group=group, key=key.encode(), rate=rate, action=action, cache="locks")
    except RedisError as error:
        log.warning("rate_limit_skipped group=%r error=%r", group, error)
        return None


def normalize_address(address: str) -> str:
    """Variants of a letter share one count."""
    return unicodedata.normalize("NFKC", address).strip().casefold()


def client_address(request: HttpRequest) -> str:
    """Trusts only what our PROXIES added to X-Forwarded-For: clients can forge the rest."""
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    hops = [hop.strip() for hop in (*forwarded, request.META.get("REMOTE_ADDR", "")) if hop.strip()]
    return client_network(hops[-min(settings.PROXIES + 1, len(hops))]) if hops else ""


def client_network(hop: str) -> str:
    """Returns the /64 network of an IPv6 address, because a client controls all of it."""
    try:
        address = ip_address(hop)
    except ValueError:
        return hop
    if address.version == 6 and not address.ipv4_mapped:
        return str(ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)
