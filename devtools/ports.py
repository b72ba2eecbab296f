"""Which ports of this machine are free, and who has the others."""

import socket
from contextlib import suppress

import psutil

LAST_PORT = 65535


_ours: list[socket.socket] = []


def free_port() -> int:
    """A port of the loopback address for a server of ours; nobody else is given it while this process lives.

    Bound and not listened to, the socket keeps it from all who ask for any port, another test run's
    servers or a client that connects; SO_REUSEADDR, which servers set, lets one listen there (Linux).
    """
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    # Not before: with it, the system may give a port that another one holds in this way.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _ours.append(holder)
    return int(holder.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether we could listen on `port` of the loopback address."""
    with socket.socket() as probe:
        # As gunicorn does: the last connections of an earlier run are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def holder(port: int) -> str:
    """Who listens on `port`, such as "gunicorn (pid 42)"; "another program" if we are not told."""
    with suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another program"
