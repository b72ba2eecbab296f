"""Servers elsewhere are spoken to by TLS, and a certificate is verified unless somebody wrote that it is not."""

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
from workers.brokers.connection import connect, is_amqp
from workers.brokers.rabbitmq import management_api
from workers.runtime import publishing
def ask(question):
    for _ in range(20):  # a loaded machine may be later than the site's own deadlines, which is no answer
        try:
            question()
            return "ok"
        except Exception as error:
            said = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in said:
            break
    return said
questions = {
    "cache": lambda: get_redis_connection("default").ping(),
    "locks": lambda: get_redis_connection("locks").ping(),
    "publish": publishing.ping_broker,
    "read": lambda: connect().__enter__(),
    "state": management_api().read_state if is_amqp() else (lambda: None),
}
print(json.dumps({name: ask(question) for name, question in questions.items()}))
"""


class Elsewhere:
    """The addresses of all servers, as a platform would give them, and who signed for them."""

    def __init__(self, authority: Authority, stack: ExitStack, name: str = "127.0.0.1") -> None:
        self.authority = authority
        self.proxies: dict[str, TlsProxy] = {}
        plain = {"DATABASE_URL": environment()["DATABASE_URL"], "BROKER_URL": settings.BROKER_URL}
        plain |= {"REDIS_URL": settings.REDIS_URL, "LOCKS_URL": settings.LOCKS_URL}
        self.given = {}
        for variable, url in plain.items():
            proxy = self.proxies[variable] = stack.enter_context(tls_proxy(authority, url, name))
            scheme = urlsplit(url).scheme.replace("redis", "rediss")
            self.given[variable] = at_port(url, proxy.port)._replace(scheme=scheme).geturl()
        self.given["DATABASE_URL"] += f"?sslmode=verify-full&sslrootcert={authority.file}"


def at_port(url: str, port: int):
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def servers(authority: Authority, db) -> Iterator[Elsewhere]:
    with ExitStack() as stack:
        yield Elsewhere(authority, stack)


def ask(**given: str) -> dict[str, str]:
    """What each server answers to a process that was given these variables."""
    return json.loads(in_subprocess.run(f"exec({ASK!r})", **given).splitlines()[-1])


def refused(answers: dict[str, str]) -> set[str]:
    """Who was not believed."""
    return {name for name, answer in answers.items() if "CERTIFICATE_VERIFY_FAILED" in answer}


def test_a_certificate_of_the_given_authority_is_believed(servers: Elsewhere):
    assert set(ask(**servers.given, REDIS_CA=str(servers.authority.file)).values()) == {"ok"}


def test_its_text_does_as_well_as_its_file(servers: Elsewhere):
    assert set(ask(**servers.given, REDIS_CA=servers.authority.pem).values()) == {"ok"}


def test_one_that_nobody_knows_is_not(servers: Elsewhere):
    assert refused(ask(**servers.given)) == {"cache", "locks", "publish", "read"}


def test_unless_it_is_written_that_none_is_verified(servers: Elsewhere):
    assert set(ask(**servers.given, REDIS_TLS="unverified").values()) == {"ok"}


def test_nor_is_one_for_another_name(authority: Authority, db):
    with ExitStack() as stack:
        servers = Elsewhere(authority, stack, name="other.example.com")
        assert refused(ask(**servers.given, REDIS_CA=authority.pem)) == {"cache", "locks", "publish", "read"}


def test_rabbitmq_is_believed_by_its_own_authority_alone(vhost: Node, authority: Authority, db):
    management = tls_proxy(vhost.authority, vhost.management)
    with management as proxy:
        given = {"BROKER_URL": vhost.encrypted}
        given["BROKER_MANAGEMENT_URL"] = at_port(vhost.management, proxy.port)._replace(scheme="https").geturl()
        assert set(ask(**given, BROKER_CA=vhost.authority.pem).values()) == {"ok"}
        assert refused(ask(**given, BROKER_CA=authority.pem)) == {"publish", "read", "state"}
        assert refused(ask(**given)) == {"publish", "read", "state"}


@pytest.mark.parametrize("kind", ["valkey", "rabbitmq"])
def test_a_worker_does_its_job_over_nothing_but_tls(kind, request, start, servers: Elsewhere, alice):
    given = servers.given | {"REDIS_CA": servers.authority.pem}
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
    spoken_to = {variable for variable, proxy in servers.proxies.items() if proxy.handshakes}
    assert spoken_to == set(servers.proxies) - ({"BROKER_URL"} if kind == "rabbitmq" else set())
