"""How often one may try to log in, sign up or reset: per address that is typed in, and per client."""

import logging
import unicodedata
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest
from django_fast_ratelimit import Action, Ratelimit, get_ratelimit
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

SENTENCE = "Too many tries. Wait a while, then try again."


def too_many_tries(request: HttpRequest, group: str, address: str) -> bool:
    """Counts a try. True if either this address or this client has had its share.

    Counts stand beside the locks, where cache.clear() does not reset them. With that server away nobody is refused.
    """
    limits = [
        _limit(f"{group} address", plain(address), settings.TRIES_PER_ADDRESS, Action.INCREASE),
        _limit(f"{group} client", client_of(request), settings.TRIES_PER_CLIENT, Action.INCREASE),
    ]
    return any(limit.request_limit for limit in limits if limit)


def forget_tries(group: str, address: str) -> None:
    """It was right in the end. The client's count stays: who has one account may be guessing at others."""
    _limit(f"{group} address", plain(address), settings.TRIES_PER_ADDRESS, Action.RESET)


def _limit(group: str, key: str, rate: str, action: Action) -> Ratelimit | None:
    try:
        return get_ratelimit(group=group, key=key.encode(), rate=rate, action=action, cache="locks")
    except RedisError as error:
        log.warning("tries are not counted now: %s", error)
        return None


def plain(address: str) -> str:
    """As Django reads a name, so that other forms of the same letters are no other address."""
    return unicodedata.normalize("NFKC", address).strip().casefold()


def client_of(request: HttpRequest) -> str:
    """The client's network address. Only what our own proxies added to X-Forwarded-For counts: the rest is hearsay."""
    told = request.headers.get("X-Forwarded-For", "").split(",")
    hops = [hop.strip() for hop in (*told, request.META.get("REMOTE_ADDR", "")) if hop.strip()]
    return network_of(hops[-min(settings.PROXIES + 1, len(hops))]) if hops else ""


def network_of(hop: str) -> str:
    """An address as limits count it: who has one of IPv6 has the 2**64 of its network."""
    try:
        address = ip_address(hop)
    except ValueError:
        return hop
    if address.version == 6 and not address.ipv4_mapped:
        return str(ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)
