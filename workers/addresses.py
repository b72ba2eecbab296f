"""The addresses that platforms give, made into what Django, redis-py and kombu take: with TLS, and verified.

Left to themselves these three differ: libpq takes a server without TLS as well, kombu does not verify a Redis, redis-py
does (docs/facts/celery.md#tls-defaults). Here a server elsewhere is spoken to by TLS, and a certificate is verified by
the system's authorities or by one that is given. That one is not verified is written out: REDIS_TLS=unverified.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

Options = dict[str, Any]
SILENCE = 25  # seconds
OWN_NETWORK = (".internal", ".local", ".localhost")


def is_elsewhere(host: str | None) -> bool:
    """Whether a host is beyond the own machine and network: a public name or address."""
    if not host or host.startswith("/"):
        return False  # a socket's folder
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(OWN_NETWORK)


def encrypt_database(database: Options) -> None:
    """Asks for TLS where a database is elsewhere, unless its URL says otherwise: `?sslmode=disable`."""
    if is_elsewhere(database.get("HOST")):
        database.setdefault("OPTIONS", {}).setdefault("sslmode", "require")


def bound_silence(database: Options) -> None:
    """Has both sides of a connection give up one that is cut off, within SILENCE.

    By itself Linux takes two hours. For so long PostgreSQL keeps what a lost host's transaction has locked, and whoever
    goes on with its job waits for that (docs/facts/servers.md#lost-host, tests/test_lose_host.py). A PgBouncer between
    them has to let `options` be: ignore_startup_parameters = options.
    """
    probes = {"keepalives_idle": SILENCE - 15, "keepalives_interval": 5, "keepalives_count": 3}
    theirs = {f"tcp_{name}": seconds for name, seconds in probes.items()} | {"tcp_user_timeout": SILENCE * 1000}
    options = " ".join(f"-c {name}={value}" for name, value in theirs.items())
    ours = {**probes, "tcp_user_timeout": SILENCE * 1000, "options": options}
    database["OPTIONS"] = ours | database.get("OPTIONS", {})


def read_authority(name: str, value: str) -> str:
    """The certificate of an authority, in PEM: `value` itself, or the file that it names. Empty for none.

    Raises ImproperlyConfigured, with the variable's name, if it is neither.
    """
    if not value or value.startswith("-----BEGIN"):
        return value.replace("\\n", "\n")  # as a .env file writes it in one line
    try:
        return Path(value).read_text()
    except OSError as error:
        raise ImproperlyConfigured(f"{name} is neither a certificate in PEM nor a file that can be read.") from error


def redis_tls(url: str, authority: str, verified: bool) -> Options:
    """What a connection of redis-py to `url` is made with; nothing for redis://."""
    if urlsplit(url).scheme != "rediss":
        return {}
    if not verified:
        return {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True} | ({"ssl_ca_data": authority} if authority else {})


def amqp_tls(url: str, authority: str) -> Options:
    """The same for py-amqp and amqps://."""
    if urlsplit(url).scheme != "amqps":
        return {}
    # None: kombu writes the host of the URL there. Without it, no name is checked.
    return {"server_hostname": None, "context": {"check_hostname": True, "cadata": authority or None}}
