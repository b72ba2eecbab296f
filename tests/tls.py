"""A proxy that speaks TLS for a server: the embedded PostgreSQL and Valkeys are built without it."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devtools.certificates import Authority
from devtools.processes import killed_at_end, wait_until_ready


@dataclass(frozen=True)
class TlsProxy:
    """Listens at `port`. `log` has a line for the port, and one for each connection whose handshake succeeded."""

    port: int
    log: Path

    @property
    def handshakes(self) -> int:
        return len(self.log.read_text().splitlines()) - 1


@contextmanager
def tls_proxy(authority: Authority, url: str, host: str = "127.0.0.1") -> Iterator[TlsProxy]:
    """A proxy for the server of `url`, with a certificate for `host`."""
    log = authority.folder / f"proxy-{secrets.token_hex(4)}.log"
    command = [sys.executable, "-m", "tests.tls_proxy", url, *map(str, authority.issue(host))]
    with killed_at_end(command, log, environment=os.environ) as process:
        wait_until_ready(process, log.read_text, log)
        yield TlsProxy(int(log.read_text().splitlines()[0]), log)
