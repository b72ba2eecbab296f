"""Ports of this machine."""

import http.client
import socket
from contextlib import closing, suppress

import psutil

LAST_PORT = 65535

_reserved: list[socket.socket] = []


def free_port() -> int:
    """Reserves a loopback port for a server of ours, as long as this process lives.

    Only a server that sets SO_REUSEADDR can listen there (Linux).
    """
    reservation = socket.socket()
    reservation.bind(("127.0.0.1", 0))
    # After bind: with the option set before, the system may choose a port that another process reserves this way.
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _reserved.append(reservation)
    return int(reservation.getsockname()[1])


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the web server does: connections of an earlier run that are in TIME_WAIT do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def is_answering(port: int, path: str) -> bool:
    # Not urllib, which would ask the http_proxy of an office for 127.0.0.1.
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False


def find_listener(port: int) -> str:
    """Such as "python (pid 42)"; "another program" if the system does not say."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another program"
