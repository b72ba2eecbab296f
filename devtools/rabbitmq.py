"""A private RabbitMQ node, loopback only. It needs the package rabbitmq-server.

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
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from devtools.certificates import Authority
from devtools.ports import free_port
from devtools.processes import DEADLINE_SECONDS, killed_at_end, wait_until_ready


def find_server() -> Path:
    """The first in PATH, but not Debian's in /usr/sbin, which changes to the user rabbitmq."""
    package = "/usr/lib/rabbitmq/bin"
    folders = [folder for folder in os.get_exec_path() if Path(folder).resolve() != Path("/usr/sbin")]
    found = shutil.which("rabbitmq-server", path=os.pathsep.join([*folders, package]))
    return Path(found or f"{package}/rabbitmq-server")


SERVER = find_server()
CTL = SERVER.with_name("rabbitmqctl")


@dataclass(frozen=True)
class Node:
    """url, encrypted: for AMQP without and with TLS."""

    url: str
    encrypted: str
    management: str
    environment: Mapping[str, str]
    authority: Authority

    def ctl(self, *arguments: str) -> None:
        command = [str(CTL), "--quiet", *arguments]
        subprocess.run(command, env=self.environment, check=True, capture_output=True)  # noqa: S603

    def ask(self, method: str, path: str) -> Any:
        """Raises RuntimeError for an error status."""
        parts = urlsplit(self.management)
        login = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        with closing(http.client.HTTPConnection("127.0.0.1", parts.port, timeout=DEADLINE_SECONDS)) as connection:
            connection.request(method, path, headers={"Authorization": f"Basic {login}"})
            answer = connection.getresponse()
            text = answer.read()
        if answer.status >= http.client.BAD_REQUEST:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {text[:500]!r}")
        return json.loads(text) if text else None

    def connections(self) -> list[dict[str, Any]]:
        """They are up to a second old."""
        found: list[dict[str, Any]] = self.ask("GET", "/api/connections?columns=peer_port,port,client_properties")
        return found


@contextmanager
def fresh_node() -> Iterator[Node]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rabbitmq-")))
        amqp, amqps, management, password = free_port(), free_port(), free_port(), secrets.token_hex(8)
        authority = Authority(folder)
        environment = configure(folder, amqp, management, password)
        listen_with_tls(folder, amqps, authority)
        # RabbitMQ would start an epmd itself, as a daemon that outlives it.
        epmd = ["epmd", "-port", environment["ERL_EPMD_PORT"], "-address", "127.0.0.1"]
        stack.enter_context(killed_at_end(epmd, folder / "epmd.log", environment=environment))
        # Killed at the end, because a clean stop takes 6 s. As an orphan, the shell script must stop Erlang itself.
        log, term = folder / "node.log", signal.SIGTERM
        node = killed_at_end([str(SERVER)], log, environment=environment, orphan_signal=term)
        wait_until_ready(stack.enter_context(node), partial(is_ready, amqp, management, password), log)
        login = f"app:{password}@127.0.0.1"
        addresses = f"amqp://{login}:{amqp}//", f"amqps://{login}:{amqps}//", f"http://{login}:{management}"
        yield Node(*addresses, environment, authority)


def configure(folder: Path, amqp: int, management: int, password: str) -> dict[str, str]:
    (folder / "enabled_plugins").write_text("[rabbitmq_management].")
    (folder / "advanced.config").write_text("[{rabbit, [{quorum_tick_interval, 500}]}].")  # see below
    (folder / "rabbitmq-env.conf").touch()  # instead of the one in /etc
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{amqp}\n"
        "management.tcp.ip = 127.0.0.1\n"
        f"management.tcp.port = {management}\n"
        "default_user = app\n"
        f"default_pass = {password}\n"
        "loopback_users = none\n"
        "log.console = true\n"
        "log.file = false\n"
        # Without all four, figures of the management API are up to 10 s old.
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
    certificate, key = authority.issue("127.0.0.1")
    with (folder / "rabbitmq.conf").open("a") as file:
        file.write(
            f"listeners.ssl.1 = 127.0.0.1:{port}\n"
            f"ssl_options.cacertfile = {authority.file}\n"
            f"ssl_options.certfile = {certificate}\n"
            f"ssl_options.keyfile = {key}\n"
            "ssl_options.verify = verify_none\n"
        )


def is_ready(amqp: int, management: int, password: str) -> bool:
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
