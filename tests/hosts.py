"""Hosts for workers: network namespaces, each with its address and its host name.

A veth pair connects each to this machine. Inside, 127.0.0.1 is this machine, where the servers of the tests listen; no
packet goes further. A namespace ends with its process and the pair with its namespace: a killed test leaves nothing.
"""

import os
import signal
import subprocess
from functools import partial

from workers.child_process import die_with_parent

PROGRAMS = ("ip", "unshare", "nsenter")
ADDRESS_RANGE = "198.18.0.0/15"  # RFC 2544 reserves it for network tests
PERMISSION_ERRORS = ("not permitted", "denied", "Read-only", "not supported")
# On this interface alone, packets may have addresses in 127.0.0.0/8.
ALLOW_LOOPBACK = "echo 1 > /proc/sys/net/ipv4/conf/{}/route_localnet"


class NamespaceError(Exception):
    """The kernel does not allow a network namespace, or no interface in one."""


class Host:
    """number: 1 or 2. command_prefix: of a command that is to run there. Raises NamespaceError."""

    def __init__(self, number: int) -> None:
        pid = os.getpid()
        self.name, self.interface = f"host{number}", f"t{pid}h{number}"
        self.address = f"198.{17 + number}.{pid // 256 % 256}.{pid % 256}"
        self.process = subprocess.Popen(
            ["unshare", "--net", "--uts", "sh", "-c", f"hostname {self.name} && echo made && exec sleep infinity"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=partial(die_with_parent, signal.SIGKILL),
        )
        self.command_prefix = ["nsenter", "--target", str(self.process.pid), "--net", "--uts"]
        output = self.process.stdout.readline()
        try:
            if output != "made\n":
                raise NamespaceError(output)
            self._connect_namespace()
        except AssertionError as error:
            self.__exit__()
            raise NamespaceError(error) from error
        except BaseException:
            self.__exit__()
            raise

    def _connect_namespace(self) -> None:
        run(f"ip link add {self.interface} type veth peer name eth0 netns {self.process.pid}")
        run(ALLOW_LOOPBACK.format(self.interface))
        run(ALLOW_LOOPBACK.format("eth0"), *self.command_prefix)
        run(f"ip address add {self.address}/32 dev eth0 && ip link set eth0 up", *self.command_prefix)
        run("ip route add 127.0.0.1/32 dev eth0", *self.command_prefix)
        self.connect()

    def connect(self) -> None:
        run(f"ip link set {self.interface} up && ip route add {self.address}/32 dev {self.interface}")

    def disconnect(self) -> None:
        """From now on no packet comes in or goes out. No process gets an error for it."""
        run(f"ip link set {self.interface} down")

    def __enter__(self) -> "Host":
        return self

    def __exit__(self, *_: object) -> None:
        """End the host, once nothing runs there."""
        subprocess.run(["ip", "link", "delete", self.interface], capture_output=True, check=False)
        self.process.kill()
        self.process.communicate()


def run(command: str, *prefix: str) -> None:
    """Run a shell command on this machine, or behind a prefix on a host. Raises NamespaceError, AssertionError."""
    done = subprocess.run([*prefix, "sh", "-ec", command], capture_output=True, text=True, check=False)
    if any(word in done.stderr for word in PERMISSION_ERRORS):
        raise NamespaceError(done.stderr)
    assert done.returncode == 0, f"{command}: {done.stderr}"
