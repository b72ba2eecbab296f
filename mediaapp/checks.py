"""The checks of `manage.py check --deploy`."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - its name in Django
from django.core.checks.security.base import SECRET_KEY_MIN_LENGTH, SECRET_KEY_MIN_UNIQUE_CHARACTERS

from mediaapp.rate_limits import parse_rate
from workers.addresses import is_external_host
from workers.capacity import connections
from workers.capacity.formation import InvalidFormation

MIN_TOKEN_LENGTH = 32
# An empty URL means that there is no such server.
URL_SETTINGS = (
    *("REDIS_URL", "LOCKS_URL", "BROKER_URL", "BROKER_MANAGEMENT_URL", "S3_ENDPOINT_URL", "S3_PUBLIC_URL"),
    *("ALERT_WEBHOOK_URL", "HEARTBEAT_URL"),
)
RATE_SETTINGS = ("TRIES_PER_CLIENT", "TRIES_PER_ADDRESS", "TRIES_PER_ACCOUNT")
TLS_SCHEMES = {"rediss", "amqps", "https"}
OPTIONAL_TLS_MODES = {
    None,
    "disable",
    "allow",
    "prefer",
}  # values of libpq's sslmode that allow a connection without TLS


def check_deploy(**_: Any) -> list[CheckMessage]:
    warnings = [*_check_verified(), *_check_encrypted(), *_check_proxies(), *_check_connections(), *_check_admins()]
    return [
        *_check_secret_key(),
        *_check_hosts(),
        *_check_rates(),
        *_check_metrics_token(),
        *_check_webhook(),
        *warnings,
    ]


def _check_secret_key() -> Iterator[CheckMessage]:
    """An error where Django's own W009 warns: who guesses the key is anybody, by a forged session or reset link."""
    key = settings.SECRET_KEY
    if len(key) < SECRET_KEY_MIN_LENGTH or len(set(key)) < SECRET_KEY_MIN_UNIQUE_CHARACTERS:
        yield Error(
            f"SECRET_KEY has {len(key)} characters, {len(set(key))} of them different: it can be guessed.",
            hint=f"Set it to {SECRET_KEY_MIN_LENGTH} random characters or more: `openssl rand -hex 32`.",
            id="deploy.E001",
        )


def _check_hosts() -> Iterator[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        yield Error(
            "ALLOWED_HOSTS is *: the site answers to any name.",
            hint="Name its hosts, with commas. Unset, it is the host of SITE_URL and the machine itself. Under a"
            " stranger's name, links and cached pages of the site lead to the stranger.",
            id="deploy.E002",
        )


def _check_rates() -> Iterator[CheckMessage]:
    for name in RATE_SETTINGS:
        try:
            parse_rate(getattr(settings, name))
        except ValueError:
            yield Error(
                f"{name} is {getattr(settings, name)!r}, which is no rate: every log-in would fail.",
                hint="Write tries/time, such as 10/10m: s, m, h or d.",
                id="deploy.E003",
            )


def _check_metrics_token() -> Iterator[CheckMessage]:
    if 0 < len(settings.METRICS_TOKEN) < MIN_TOKEN_LENGTH:
        yield Error(
            f"METRICS_TOKEN has {len(settings.METRICS_TOKEN)} characters: it can be guessed.",
            hint=f"Set it to {MIN_TOKEN_LENGTH} random characters or more: `openssl rand -hex 32`. Empty, it is off.",
            id="deploy.E004",
        )


def _check_webhook() -> Iterator[CheckMessage]:
    fault, form = "", settings.ALERT_WEBHOOK_FORMAT
    if form not in ("json", "slack"):
        fault = f"ALERT_WEBHOOK_FORMAT is {form!r}."
    elif settings.ALERT_WEBHOOK_URL and form == "json" and not settings.ALERT_WEBHOOK_SECRET:
        fault = "ALERT_WEBHOOK_URL gets alarms without a signature: anybody could send it some."
    if fault:
        hint = "Set ALERT_WEBHOOK_SECRET, which the receiver knows too, or ALERT_WEBHOOK_FORMAT=slack."
        yield Error(fault, hint=hint, id="deploy.E005")


def _check_verified() -> Iterator[CheckMessage]:
    unverified_names = [name for name in URL_SETTINGS if getattr(settings, name).startswith("rediss:")]
    if settings.REDIS_TLS == "unverified" and unverified_names:
        yield Warning(
            f"Nobody verifies who answers at {', '.join(unverified_names)}.",
            hint="Set REDIS_CA to the certificate of the authority that signed for it, and remove REDIS_TLS. Where a"
            " platform gives none, as Heroku, it stays so: nobody reads along, but anybody may answer.",
            id="deploy.W001",
        )


def _check_encrypted() -> Iterator[CheckMessage]:
    database, urls = settings.DATABASES["default"], {name: urlsplit(getattr(settings, name)) for name in URL_SETTINGS}
    unencrypted = [
        name for name, url in urls.items() if url.scheme not in TLS_SCHEMES and is_external_host(url.hostname)
    ]
    if is_external_host(database["HOST"]) and database["OPTIONS"].get("sslmode") in OPTIONAL_TLS_MODES:
        unencrypted.append("DATABASE_URL")
    if is_external_host(settings.EMAIL_HOST) and not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL):
        unencrypted.append("EMAIL_URL")
    for name in unencrypted:
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
        over = [budget for budget in connections.connection_budgets() if budget.is_over]
    except InvalidFormation:
        return  # practices.E904 reports it and stops the deploy
    for budget in over:
        yield Warning(
            f"The formation may open {budget.opened} connections to the {budget.server}, and its plan allows"
            f" {budget.limit}.",
            hint="Run fewer web processes (WEB_CONCURRENCY) or dynos, or take a bigger plan. /operations/capacity/"
            " shows who opens how many. Who comes last is refused, and a page or a task fails. If it does so now, see"
            " docs/runbooks/after-a-deploy.md.",
            id="deploy.W004",
        )


def _check_admins() -> Iterator[CheckMessage]:
    if not settings.ALERT_ADDRESSES and not settings.ALERT_WEBHOOK_URL:
        yield Warning(
            "ADMINS is unset, so only staff accounts with an address get alarms, if there is one.",
            hint="Set ADMINS to the addresses of who is on call, with commas, or set ALERT_WEBHOOK_URL.",
            id="deploy.W005",
        )
