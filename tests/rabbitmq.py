"""A private RabbitMQ node for the tests that need one: own ports, own epmd, loopback only.

Why each line is there: docs/facts/servers.md#private-rabbitmq-node.
"""

import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from devtools.ports import free_port
from devtools.servers import die_with_parent
from tests.tls import Authority


def find_server() -> Path:
    """The first rabbitmq-server in PATH, so that a folder put before PATH chooses another version.

    Not Debian's in /usr/sbin, which changes to the user rabbitmq; its package has one that runs as its caller.
    """
    package = "/usr/lib/rabbitmq/bin"
    folders = [folder for folder in os.get_exec_path() if Path(folder).resolve() != Path("/usr/sbin")]
    found = shutil.which("rabbitmq-server", path=os.pathsep.join([*folders, package]))
    return Path(found or f"{package}/rabbitmq-server")


SERVER = find_server()
CTL = SERVER.with_name("rabbitmqctl")
START_SECONDS = 60


@dataclass(frozen=True)
class Node:
    """url: its AMQP address. management: its management API's, with the login. environment: rabbitmqctl's.

    encrypted: its address with TLS, by a certificate of `authority`.
    """

    url: str
    encrypted: str
    management: str
    environment: Mapping[str, str]
    authority: Authority

    def ctl(self, *arguments: str) -> None:
        """Run rabbitmqctl on it; half a second."""
        subprocess.run([str(CTL), "--quiet", *arguments], env=self.environment, check=True, capture_output=True)

    def ask(self, method: str, path: str) -> Any:
        """Ask its management API; its answer."""
        parts = urlsplit(self.management)
        login = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        with closing(http.client.HTTPConnection("127.0.0.1", parts.port, timeout=5)) as connection:
            connection.request(method, path, headers={"Authorization": f"Basic {login}"})
            answer = connection.getresponse()
            assert answer.status < http.client.BAD_REQUEST
            text = answer.read()
        return json.loads(text) if text else None

    def connections(self) -> list[dict[str, Any]]:
        """Those that it has, as it last counted them."""
        return self.ask("GET", "/api/connections?columns=peer_port,client_properties")


@pytest.fixture(scope="session")
def rabbitmq(rabbitmq_node: Node) -> str:
    """The AMQP address of a fresh node that ends with the tests."""
    return rabbitmq_node.url


@pytest.fixture(scope="session")
def rabbitmq_installed() -> None:
    """For those who start a node themselves. Without it they are skipped, but where CI is set they fail."""
    if not SERVER.exists():
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent(f"no {SERVER}: apt-get install rabbitmq-server")


@pytest.fixture(scope="session")
def rabbitmq_node(rabbitmq_installed: None) -> Iterator[Node]:
    """The same node, for those who also ask its management API or turn its knobs."""
    with fresh_node() as node:
        yield node


@contextmanager
def fresh_node() -> Iterator[Node]:
    """A node without a queue or a message, for as long as the block runs; five seconds to start."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rabbitmq-")))
        amqp, amqps, management, password = free_port(), free_port(), free_port(), secrets.token_hex(8)
        authority = Authority(folder)
        environment = configure(folder, amqp, management, password)
        listen_with_tls(folder, amqps, authority)
        # RabbitMQ would start an epmd itself, as a daemon that outlives it.
        epmd = ["epmd", "-port", environment["ERL_EPMD_PORT"], "-address", "127.0.0.1"]
        stack.enter_context(killed_at_the_end(epmd, environment, folder / "epmd.log"))
        log = folder / "node.log"
        node = stack.enter_context(killed_at_the_end([str(SERVER)], environment, log))
        deadline = time.monotonic() + START_SECONDS
        while not is_ready(amqp, management, password):
            if node.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"RabbitMQ did not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.1)
        login = f"app:{password}@127.0.0.1"
        addresses = f"amqp://{login}:{amqp}//", f"amqps://{login}:{amqps}//", f"http://{login}:{management}"
        yield Node(*addresses, environment, authority)


@pytest.fixture
def vhost(rabbitmq_node: Node) -> Iterator[Node]:
    """A virtual host of its own on that node, without the queues of other tests."""
    name = f"t{secrets.token_hex(4)}"
    rabbitmq_node.ask("PUT", f"/api/vhosts/{name}")
    url, encrypted = (url.removesuffix("/") + name for url in (rabbitmq_node.url, rabbitmq_node.encrypted))
    yield replace(rabbitmq_node, url=url, encrypted=encrypted)
    rabbitmq_node.ask("DELETE", f"/api/vhosts/{name}")


def configure(folder: Path, amqp: int, management: int, password: str) -> dict[str, str]:
    """Write the node's files; return the environment in which it starts."""
    (folder / "enabled_plugins").write_text("[rabbitmq_management].")
    (folder / "advanced.config").write_text("[{rabbit, [{quorum_tick_interval, 500}]}].")  # as below
    (folder / "rabbitmq-env.conf").touch()  # so that it does not read the one in /etc
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{amqp}\n"
        "management.tcp.ip = 127.0.0.1\n"
        f"management.tcp.port = {management}\n"
        "default_user = app\n"
        f"default_pass = {password}\n"
        "loopback_users = none\n"
        "log.console = true\n"
        "log.file = false\n"
        # What the management API says is else up to 10 s old; one of these alone changes nothing.
        "collect_statistics_interval = 1000\n"
        "management.sample_retention_policies.global.minute = 1\n"
        "management.sample_retention_policies.basic.minute = 1\n"
        "management.sample_retention_policies.detailed.10 = 1\n"
    )
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),  # for its own .erlang.cookie
        "RABBITMQ_CONF_ENV_FILE": f"{folder}/rabbitmq-env.conf",
        "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
        "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/advanced.config",
        "RABBITMQ_GENERATED_CONFIG_DIR": f"{folder}/conf",
        "RABBITMQ_NODENAME": f"t{os.getpid()}x{amqp}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(amqp),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
        "RABBITMQ_LOG_BASE": f"{folder}/log",
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_PID_FILE": f"{folder}/pid",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
        "RABBITMQ_FEATURE_FLAGS_FILE": f"{folder}/feature_flags",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(free_port()),
    }


def listen_with_tls(folder: Path, port: int, authority: Authority) -> None:
    """Have the node speak TLS at a second port too."""
    certificate, key = authority.issue("127.0.0.1")
    with (folder / "rabbitmq.conf").open("a") as file:
        file.write(
            f"listeners.ssl.1 = 127.0.0.1:{port}\n"
            f"ssl_options.cacertfile = {authority.file}\n"
            f"ssl_options.certfile = {certificate}\n"
            f"ssl_options.keyfile = {key}\n"
            "ssl_options.verify = verify_none\n"
        )


@contextmanager
def killed_at_the_end(
    command: list[str], environment: Mapping[str, str], log: Path, **more: Any
) -> Iterator[subprocess.Popen]:
    """Run `command`; kill it with all its helpers, since a clean stop of a node takes 6 s."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, signal.SIGTERM),
            **more,
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_ready(amqp: int, management: int, password: str) -> bool:
    """Whether both the node's health check and its AMQP port answer."""
    login = b64encode(f"app:{password}".encode()).decode()
    with closing(http.client.HTTPConnection("127.0.0.1", management, timeout=5)) as connection:
        try:
            path = "/api/health/checks/local-alarms"
            connection.request("GET", path, headers={"Authorization": f"Basic {login}"})
            if connection.getresponse().status != http.client.OK:
                return False
            socket.create_connection(("127.0.0.1", amqp), timeout=5).close()
        except OSError:
            return False
    return True
