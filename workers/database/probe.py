"""Asks a PostgreSQL server its cheapest question: does it speak TLS?

The question needs no password and no free connection.
"""

import socket
import struct

PROBE_SECONDS = 0.5
SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # https://www.postgresql.org/docs/current/protocol-message-formats.html


def is_silent(host: str, port: int) -> bool:
    """host: also the folder of a socket. False for a server that refuses the connection: that is an answer.

    False for the list of hosts of a libpq URL, too: their client's own timeouts apply.
    """
    if not host or "," in host:
        return False
    try:
        with _connect(host, port) as connection:
            connection.sendall(SSL_REQUEST)
            connection.recv(1)
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


def _connect(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port), PROBE_SECONDS)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PROBE_SECONDS)
    connection.connect(f"{host}/.s.PGSQL.{port}")
    return connection
