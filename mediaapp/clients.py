"""Which client a request comes from: an IPv4 address, or the /64 network of an IPv6 address."""

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


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
