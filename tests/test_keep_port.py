"""A port that was found free is kept for a server of ours, and two test runs beside each other never share one."""

import socket

import pytest

from devtools.ports import free_port, is_free


def test_nobody_else_is_given_it():
    with socket.socket() as another, pytest.raises(OSError, match="Address already in use"):
        another.bind(("127.0.0.1", free_port()))


def test_a_server_listens_there_and_again_after_its_end():
    port = free_port()
    for _ in range(2):
        assert is_free(port)
        with socket.create_server(("127.0.0.1", port)):
            assert not is_free(port)
            socket.create_connection(("127.0.0.1", port)).close()
