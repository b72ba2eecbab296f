"""Machines of their own for workers: network namespaces, each with its address and its name.

A host has one cable, to this machine, and there 127.0.0.1 is this machine, where the servers of the tests listen; no
packet goes further. A namespace lives as long as its process, and the cable as long as the namespace: of a test that is
killed nothing is left.
"""

import os
import signal
import subprocess
from functools import partial

from workers.child_process import die_with_parent

PROGRAMS = ("ip", "unshare", "nsenter")
RANGE = "198.18.0.0/15"  # which RFC 2544 keeps for tests of networks
REFUSALS = ("not permitted", "denied", "Read-only", "not supported")
# On this cable alone, packets may come from and go to an address that begins with 127.
ALLOW_LOOPBACK = "echo 1 > /proc/sys/net/ipv4/conf/{}/route_localnet"


class Forbidden(Exception):
    """The kernel does not let us make a network namespace, or no cable into one."""


class Host:
    """number: 1 or 2. inside: what a command begins with that runs there. Raises Forbidden."""

    def __init__(self, number: int) -> None:
        pid = os.getpid()
        self.name, self.cable = f"host{number}", f"t{pid}h{number}"
        self.address = f"198.{17 + number}.{pid // 256 % 256}.{pid % 256}"
        self.process = subprocess.Popen(
            ["unshare", "--net", "--uts", "sh", "-c", f"hostname {self.name} && echo made && exec sleep infinity"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=partial(die_with_parent, signal.SIGKILL),
        )
        self.inside = ["nsenter", "--target", str(self.process.pid), "--net", "--uts"]
        said = self.process.stdout.readline()
        try:
            if said != "made\n":
                raise Forbidden(said)
            self._lay_cable()
        except AssertionError as error:
            self.__exit__()
            raise Forbidden(error) from error
        except BaseException:
            self.__exit__()
            raise

    def _lay_cable(self) -> None:
        run(f"ip link add {self.cable} type veth peer name eth0 netns {self.process.pid}")
        run(ALLOW_LOOPBACK.format(self.cable))
        run(ALLOW_LOOPBACK.format("eth0"), *self.inside)
        run(f"ip address add {self.address}/32 dev eth0 && ip link set eth0 up", *self.inside)
        run("ip route add 127.0.0.1/32 dev eth0", *self.inside)
        self.plug_in()

    def plug_in(self) -> None:
        run(f"ip link set {self.cable} up && ip route add {self.address}/32 dev {self.cable}")

    def cut_off(self) -> None:
        """From now on no packet comes in or goes out, and nobody is told."""
        run(f"ip link set {self.cable} down")

    def __enter__(self) -> "Host":
        return self

    def __exit__(self, *_: object) -> None:
        """The end of the host, once nothing runs there."""
        subprocess.run(["ip", "link", "delete", self.cable], capture_output=True, check=False)
        self.process.kill()
        self.process.communicate()


def run(command: str, *inside: str) -> None:
    """Runs a line of the shell as root of this machine or of a host. Raises Forbidden, or AssertionError."""
    done = subprocess.run([*inside, "sh", "-ec", command], capture_output=True, text=True, check=False)
    if any(word in done.stderr for word in REFUSALS):
        raise Forbidden(done.stderr)
    assert done.returncode == 0, f"{command}: {done.stderr}"
