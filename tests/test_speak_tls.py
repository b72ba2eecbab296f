"""Connections to external servers use TLS, and verify the certificate unless REDIS_TLS says otherwise."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from devtools.certificates import Authority
from devtools.processes import wait_until
from devtools.rabbitmq import Node
from tests import in_subprocess
from tests.conftest import environment
from tests.tls import TlsProxy, tls_proxy
from workers import jobs
from workers.models import Job

ASK = """
import json
from django_redis import get_redis_connection
from workers.brokers.connection import connect, is_amqp
from workers.brokers.rabbitmq import management_api
from workers.runtime import publishing
def ask(question):
    for _ in range(20):  # a loaded machine may exceed the site's deadlines, which proves nothing
        try:
            question()
            return "ok"
        except Exception as error:
            message = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in message:
            break
    return message
questions = {
    "cache": lambda: get_redis_connection("default").ping(),
    "locks": lambda: get_redis_connection("locks").ping(),
    "publish": publishing.ping_broker,
    "read": lambda: connect().__enter__(),
    "state": management_api().read_state if is_amqp() else (lambda: None),
}
print(json.dumps({name: ask(question) for name, question in questions.items()}))
"""


class TlsServers:
    """TLS addresses of all servers, as a platform gives them, and the authority that signed their certificates."""

    def __init__(self, authority: Authority, stack: ExitStack, name: str = "127.0.0.1") -> None:
        self.authority = authority
        self.proxies: dict[str, TlsProxy] = {}
        plain = {"DATABASE_URL": environment()["DATABASE_URL"], "BROKER_URL": settings.BROKER_URL}
        plain |= {"REDIS_URL": settings.REDIS_URL, "LOCKS_URL": settings.LOCKS_URL}
        self.variables = {}
        for variable, url in plain.items():
            proxy = self.proxies[variable] = stack.enter_context(tls_proxy(authority, url, name))
            scheme = urlsplit(url).scheme.replace("redis", "rediss")
            self.variables[variable] = at_port(url, proxy.port)._replace(scheme=scheme).geturl()
        self.variables["DATABASE_URL"] += f"?sslmode=verify-full&sslrootcert={authority.file}"

    def contacted(self) -> set[str]:
        return {variable for variable, proxy in self.proxies.items() if proxy.handshakes}


def at_port(url: str, port: int):
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def servers(authority: Authority, db) -> Iterator[TlsServers]:
    with ExitStack() as stack:
        yield TlsServers(authority, stack)


def ask(**variables: str) -> dict[str, str]:
    """What each server answers to a process with these variables."""
    return json.loads(in_subprocess.run(f"exec({ASK!r})", **variables).splitlines()[-1])


def unverified(answers: dict[str, str]) -> set[str]:
    """The servers whose certificates failed the verification."""
    return {name for name, answer in answers.items() if "CERTIFICATE_VERIFY_FAILED" in answer}


def test_a_certificate_of_the_given_authority_is_accepted(servers: TlsServers):
    assert set(ask(**servers.variables, REDIS_CA=str(servers.authority.file)).values()) == {"ok"}


def test_the_authority_can_be_given_as_text(servers: TlsServers):
    assert set(ask(**servers.variables, REDIS_CA=servers.authority.pem).values()) == {"ok"}


def test_a_certificate_of_an_unknown_authority_is_rejected(servers: TlsServers):
    assert unverified(ask(**servers.variables)) == {"cache", "locks", "publish", "read"}


def test_redis_tls_unverified_accepts_any_certificate(servers: TlsServers):
    assert set(ask(**servers.variables, REDIS_TLS="unverified").values()) == {"ok"}


def test_a_certificate_for_another_name_is_rejected(authority: Authority, db):
    with ExitStack() as stack:
        servers = TlsServers(authority, stack, name="other.example.com")
        assert unverified(ask(**servers.variables, REDIS_CA=authority.pem)) == {"cache", "locks", "publish", "read"}


def test_rabbitmq_is_verified_by_broker_ca_alone(vhost: Node, authority: Authority, db):
    management = tls_proxy(vhost.authority, vhost.management)
    with management as proxy:
        given = {"BROKER_URL": vhost.encrypted}
        given["BROKER_MANAGEMENT_URL"] = at_port(vhost.management, proxy.port)._replace(scheme="https").geturl()
        assert set(ask(**given, BROKER_CA=vhost.authority.pem).values()) == {"ok"}
        assert unverified(ask(**given, BROKER_CA=authority.pem)) == {"publish", "read", "state"}
        assert unverified(ask(**given)) == {"publish", "read", "state"}


@pytest.mark.parametrize("kind", ["valkey", "rabbitmq"])
def test_a_worker_does_its_job_over_nothing_but_tls(kind, request, start, servers: TlsServers, alice):
    given = servers.variables | {"REDIS_CA": servers.authority.pem}
    if kind == "rabbitmq":
        node = request.getfixturevalue("vhost")
        given |= {"BROKER_URL": node.encrypted, "BROKER_CA": node.authority.pem}
        given["BROKER_MANAGEMENT_URL"] = node.management
    arguments = {"user_id": alice.pk}
    job = jobs.create("workers.default.tasks.send_password_reset", owner_id=alice.pk, arguments=arguments)
    start("default", **given)
    in_subprocess.run(
        "from workers.jobs import publish; from workers.models import Job; publish(Job.objects.get())", **given
    )
    wait_until(lambda: Job.objects.get(pk=job.pk).state == Job.State.DONE, "the mail")
    expected = set(servers.proxies) - ({"BROKER_URL"} if kind == "rabbitmq" else set())
    # The cache comes last: the progress is cleared after the row is final.
    wait_until(lambda: servers.contacted() >= expected, f"handshakes with {expected}")
    assert servers.contacted() == expected
