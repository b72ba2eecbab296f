"""A free port stays reserved for the process that asked for it: two test runs at once never share one."""

import socket

import pytest

from devtools.ports import free_port, is_free


def test_another_socket_cannot_bind_it():
    with socket.socket() as another, pytest.raises(OSError, match="Address already in use"):
        another.bind(("127.0.0.1", free_port()))


def test_a_server_can_listen_there_twice():
    port = free_port()
    for _ in range(2):
        assert is_free(port)
        with socket.create_server(("127.0.0.1", port)):
            assert not is_free(port)
            socket.create_connection(("127.0.0.1", port)).close()
