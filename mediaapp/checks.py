"""What only a deploy must have: the checks of `manage.py check --deploy`, which the release step runs."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Warning  # noqa: A004 - its name in Django

from workers.addresses import is_elsewhere
from workers.capacity import connections
from workers.capacity.formation import InvalidFormation

# Addresses, an empty one for a server that is not there.
URLS = ("REDIS_URL", "LOCKS_URL", "BROKER_URL", "BROKER_MANAGEMENT_URL", "S3_ENDPOINT_URL", "S3_PUBLIC_URL")
ENCRYPTED = {"rediss", "amqps", "https"}
UNSURE = {None, "disable", "allow", "prefer"}  # of libpq's sslmode: TLS may be missing, or is


def check(**_: Any) -> list[CheckMessage]:
    """W001: a Redis is not verified. W002: a server elsewhere has no TLS. W003: no proxy is known.

    W004: the formation may open more connections than a server's plan allows.
    """
    return [*_check_verified(), *_check_encrypted(), *_check_proxies(), *_check_connections()]


def _check_verified() -> Iterator[CheckMessage]:
    unverified = [name for name in URLS if getattr(settings, name).startswith("rediss:")]
    if settings.REDIS_TLS == "unverified" and unverified:
        yield Warning(
            f"Nobody verifies who answers at {', '.join(unverified)}.",
            hint="Set REDIS_CA to the certificate of the authority that signed for it, and remove REDIS_TLS. Where a"
            " platform gives none, as Heroku, it stays so: nobody reads along, but anybody may answer.",
            id="deploy.W001",
        )


def _check_encrypted() -> Iterator[CheckMessage]:
    database, urls = settings.DATABASES["default"], {name: urlsplit(getattr(settings, name)) for name in URLS}
    plain = [name for name, url in urls.items() if url.scheme not in ENCRYPTED and is_elsewhere(url.hostname)]
    if is_elsewhere(database["HOST"]) and database["OPTIONS"].get("sslmode") in UNSURE:
        plain.append("DATABASE_URL")
    if is_elsewhere(settings.EMAIL_HOST) and not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL):
        plain.append("EMAIL_URL")
    for name in plain:
        yield Warning(
            f"The server of {name} is elsewhere, and what is sent there goes in the clear, passwords too.",
            hint="Write rediss://, amqps://, https:// or smtp+tls://, and no sslmode below require for PostgreSQL.",
            id="deploy.W002",
        )


def _check_proxies() -> Iterator[CheckMessage]:
    if settings.HTTPS and not settings.PROXIES:
        yield Warning(
            "SITE_URL is https, which a proxy must speak for us, and PROXIES says that there is none.",
            hint="Set PROXIES=1 behind a platform's router. Else all visitors count as one client, and a few wrong"
            " passwords keep everybody out.",
            id="deploy.W003",
        )


def _check_connections() -> Iterator[CheckMessage]:
    try:
        over = [budget for budget in connections.budgets() if budget.is_over]
    except InvalidFormation:
        return  # practices.E904 says so, and stops the deploy
    for budget in over:
        yield Warning(
            f"The formation may open {budget.opened} connections to the {budget.server}, and its plan allows"
            f" {budget.limit}.",
            hint="Run fewer web processes (WEB_CONCURRENCY) or dynos, or take a bigger plan. /practices/ shows who"
            " opens how many. Who comes last is refused, and a page or a task fails.",
            id="deploy.W004",
        )
