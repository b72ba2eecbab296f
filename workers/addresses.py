"""TLS and keepalive options for the addresses that platforms give, and which of them are one server.

The clients' own defaults differ (docs/facts/celery.md#tls-defaults).
"""

from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

Options = dict[str, Any]
KEEPALIVE_SECONDS = 25
PRIVATE_SUFFIXES = (".internal", ".local", ".localhost")
DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671}
REDIS_PORT = 6379


def server_of(url: str) -> tuple[str, int]:
    """Host and port; a socket's path and 0. All spellings of this machine, such as `127.0.0.1` and `[::1]`, are one."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path, 0
    host = (parts.hostname or "localhost").removesuffix(".")
    with suppress(ValueError):
        address = ip_address(host)
        host = "localhost" if address.is_loopback or address.is_unspecified else str(address)
    return host, parts.port or DEFAULT_PORTS.get(parts.scheme, REDIS_PORT)


def is_external_host(host: str | None) -> bool:
    if not host or host.startswith("/"):
        return False  # a socket's folder
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(PRIVATE_SUFFIXES)


def require_database_tls(database: Options) -> None:
    """Sets sslmode=require for an external host, unless its URL has another mode. That mode verifies no certificate."""
    if is_external_host(database.get("HOST")):
        database.setdefault("OPTIONS", {}).setdefault("sslmode", "require")


def set_database_keepalives(database: Options) -> None:
    """Without them, PostgreSQL holds the locks of a lost host for two hours (docs/facts/servers.md#lost-host).

    PgBouncer needs `ignore_startup_parameters = options`.
    """
    probes = {"keepalives_idle": KEEPALIVE_SECONDS - 15, "keepalives_interval": 5, "keepalives_count": 3}
    milliseconds = KEEPALIVE_SECONDS * 1000
    of_server = {f"tcp_{name}": seconds for name, seconds in probes.items()} | {"tcp_user_timeout": milliseconds}
    options = " ".join(f"-c {name}={value}" for name, value in of_server.items())
    of_client = {**probes, "tcp_user_timeout": milliseconds, "options": options}
    database["OPTIONS"] = of_client | database.get("OPTIONS", {})


def read_ca_certificate(name: str, value: str) -> str:
    """value: a PEM, the path of one, or "" for none. Raises ImproperlyConfigured for anything else."""
    if not value or value.startswith("-----BEGIN"):
        return value.replace("\\n", "\n")  # as a .env file writes it in one line
    try:
        return Path(value).read_text()
    except OSError as error:
        raise ImproperlyConfigured(f"{name} is neither a certificate in PEM nor a file that can be read.") from error


def next_database(broker_url: str) -> str:
    """The database for locks on the server of a Redis broker, which evicts nothing either. "" for another broker."""
    parts = urlsplit(broker_url)
    if parts.scheme not in ("redis", "rediss"):
        return ""
    number = parts.path.strip("/")
    return parts._replace(path=f"/{int(number) + 1 if number.isdecimal() else 1}").geturl()


def redis_tls_options(url: str, ca_certificate: str, verified: bool) -> Options:
    """For redis-py; empty for redis://."""
    if urlsplit(url).scheme != "rediss":
        return {}
    if not verified:
        return {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    verify = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    return verify | ({"ssl_ca_data": ca_certificate} if ca_certificate else {})


def amqp_tls_options(url: str, ca_certificate: str) -> Options:
    """For py-amqp; empty for amqp://."""
    if urlsplit(url).scheme != "amqps":
        return {}
    # None: kombu writes the host of the URL there. Without the key no name is checked.
    return {"server_hostname": None, "context": {"check_hostname": True, "cadata": ca_certificate or None}}
