"""Servers that speak TLS, with certificates that the tests sign themselves.

The embedded PostgreSQL and Valkeys are built without it, so a proxy speaks it for them; a node of RabbitMQ does itself.
"""

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trustme

from devtools.servers import die_with_parent

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120


@dataclass(frozen=True)
class Proxy:
    """Speaks TLS at `port`; `log` has a line for each connection whose handshake went well, after its first."""

    port: int
    log: Path

    @property
    def handshakes(self) -> int:
        return len(self.log.read_text().splitlines()) - 1


class Authority:
    """Signs certificates; `pem` is its own, `file` the one that holds it."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.pem = self._ca.cert_pem.bytes().decode()
        self.folder, self.file = folder, folder / "ca.pem"
        self.file.write_text(self.pem)

    def issue(self, name: str) -> tuple[Path, Path]:
        """The files of a certificate for a server of that name, and of its key."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        issued = self._ca.issue_cert(name)
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return certificate, key

    @contextmanager
    def speaking_for(self, url: str, name: str = "127.0.0.1") -> Iterator[Proxy]:
        """A proxy for the server of `url`, with a certificate for `name`."""
        log = self.folder / f"proxy-{secrets.token_hex(4)}.log"
        command = [sys.executable, "-m", "tests.tls_proxy", url, *map(str, self.issue(name))]
        with log.open("w") as output:
            die = partial(die_with_parent, signal.SIGKILL)
            process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, preexec_fn=die)
        try:
            deadline = time.monotonic() + START_SECONDS
            while not (lines := log.read_text().splitlines()) and time.monotonic() < deadline:
                time.sleep(0.05)
            yield Proxy(int(lines[0]), log)
        finally:
            process.kill()
            process.wait()
