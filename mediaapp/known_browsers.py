"""A cookie marks a browser that a user has logged in with, so that a stranger's wrong tries do not keep it out.

It proves nothing but that: it logs nobody in. The name of the user is its salt, so it is invalid for another one
(OWASP calls it a device cookie).
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string

COOKIE = f"{settings.COOKIE_PREFIX}browser"
COOKIE_SECONDS = 180 * 24 * 3600


def read_browser_id(request: HttpRequest, name: str) -> str:
    """Returns "" for a browser that this user has not logged in with. name: normalized."""
    return request.get_signed_cookie(COOKIE, default="", salt=COOKIE + name, max_age=COOKIE_SECONDS) or ""


def set_browser_cookie(request: HttpRequest, response: HttpResponse, name: str) -> None:
    """Gives the browser a new id, and so a new counter. name: normalized."""
    response.set_signed_cookie(
        COOKIE,
        get_random_string(22),
        salt=COOKIE + name,
        max_age=COOKIE_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure(),
    )
