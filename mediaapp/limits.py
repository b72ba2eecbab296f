"""How often one may try to log in, sign up or reset: per address that is typed in, and per client."""

import logging
import unicodedata
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest
from django_fast_ratelimit import Action, get_ratelimit
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

SENTENCE = "Too many tries. Wait ten minutes, then try again."


def too_many_tries(request: HttpRequest, group: str, address: str) -> bool:
    """Counts a try. True if either this address or this client has had its share.

    Counts stand beside the locks, where cache.clear() does not reset them. With that server away nobody is refused.
    """
    # As Django reads a name, so that other forms of the same letters are no other address.
    address = unicodedata.normalize("NFKC", address).strip().casefold()
    counted = {
        f"{group} address": (settings.TRIES_PER_ADDRESS, address),
        f"{group} client": (settings.TRIES_PER_CLIENT, client_of(request)),
    }
    try:
        limits = [
            get_ratelimit(group=name, key=key.encode(), rate=rate, action=Action.INCREASE, cache="locks")
            for name, (rate, key) in counted.items()
        ]
    except RedisError as error:
        log.warning("tries are not counted now: %s", error)
        return False
    return any(limit.request_limit for limit in limits)


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
