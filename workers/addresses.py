"""Connection options for the addresses that platforms give: with TLS, verified, and with an end for dead connections.

The defaults differ: libpq accepts a server without TLS, kombu does not verify a Redis, redis-py does
(docs/facts/celery.md#tls-defaults). Here a server outside the own network must speak TLS, and its certificate is
verified by the system's authorities or by a given one. Only REDIS_TLS=unverified switches that off.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

Options = dict[str, Any]
KEEPALIVE_SECONDS = 25
PRIVATE_SUFFIXES = (".internal", ".local", ".localhost")


def is_external_host(host: str | None) -> bool:
    """Whether a host is a public name or address, outside the own machine and network."""
    if not host or host.startswith("/"):
        return False  # a socket's folder
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(PRIVATE_SUFFIXES)


def require_database_tls(database: Options) -> None:
    """Requires TLS for an external database, unless its URL says otherwise: `?sslmode=disable`."""
    if is_external_host(database.get("HOST")):
        database.setdefault("OPTIONS", {}).setdefault("sslmode", "require")


def set_database_keepalives(database: Options) -> None:
    """Lets both sides of a connection give up within KEEPALIVE_SECONDS when the other host is gone.

    Linux takes two hours. For so long PostgreSQL keeps the rows locked that a lost host's transaction has locked, and
    another worker that takes its job waits (docs/facts/servers.md#lost-host, tests/test_lose_host.py). A PgBouncer in
    between needs ignore_startup_parameters = options.
    """
    probes = {"keepalives_idle": KEEPALIVE_SECONDS - 15, "keepalives_interval": 5, "keepalives_count": 3}
    milliseconds = KEEPALIVE_SECONDS * 1000
    of_server = {f"tcp_{name}": seconds for name, seconds in probes.items()} | {"tcp_user_timeout": milliseconds}
    options = " ".join(f"-c {name}={value}" for name, value in of_server.items())
    of_client = {**probes, "tcp_user_timeout": milliseconds, "options": options}
    database["OPTIONS"] = of_client | database.get("OPTIONS", {})


def read_ca_certificate(name: str, value: str) -> str:
    """The PEM of an authority: `value` itself, or the file that it names. Empty for none.

    Raises ImproperlyConfigured, with the variable's name, if it is neither.
    """
    if not value or value.startswith("-----BEGIN"):
        return value.replace("\\n", "\n")  # as a .env file writes it in one line
    try:
        return Path(value).read_text()
    except OSError as error:
        raise ImproperlyConfigured(f"{name} is neither a certificate in PEM nor a file that can be read.") from error


def redis_tls_options(url: str, ca_certificate: str, verified: bool) -> Options:
    """Options of a redis-py connection to `url`; none for redis://."""
    if urlsplit(url).scheme != "rediss":
        return {}
    if not verified:
        return {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    verify = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    return verify | ({"ssl_ca_data": ca_certificate} if ca_certificate else {})


def amqp_tls_options(url: str, ca_certificate: str) -> Options:
    """Options of a py-amqp connection to `url`; none for amqp://."""
    if urlsplit(url).scheme != "amqps":
        return {}
    # None: kombu writes the host of the URL there. Without the key no name is checked.
    return {"server_hostname": None, "context": {"check_hostname": True, "cadata": ca_certificate or None}}
