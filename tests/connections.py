"""Who holds which connection: what the servers say, matched with the processes that hold the other ends."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import psutil
from django.conf import settings
from django.db import connection
from redis import from_url

from devtools.rabbitmq import Node

Counts = Counter[tuple[str, str]]  # by (process type, server)
Ends = tuple[int, int]  # the client's port and the server's


def owners(processes: Mapping[str, int]) -> dict[Ends, str]:
    """By their ends, the connections of processes with all their children: the type of the process that has it.

    The local port alone does not name a connection: the kernel gives it to another one that leads to another server.
    """
    found = {}
    for name, pid in processes.items():
        with suppress(psutil.NoSuchProcess):
            main = psutil.Process(pid)
            for process in (main, *main.children(recursive=True)):
                with suppress(psutil.Error):
                    opened = (each for each in process.net_connections("tcp") if each.raddr)
                    found |= {(each.laddr.port, each.raddr.port): name for each in opened}
    return found


def accepted(node: Node | None) -> list[tuple[str, Ends]]:
    """(server, ends) for each connection that a server has now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT client_port, inet_server_port() FROM pg_stat_activity WHERE datname = current_database()"
        )
        found = [("database", ends) for ends in cursor.fetchall()]
    for url in {settings.REDIS_URL, settings.BROKER_URL}:
        with from_url(url) as server:
            for client in server.client_list():
                port = int(client["addr"].rpartition(":")[2])
                found.append((server_of(url, client["db"]), (port, urlsplit(url).port)))
    if node:
        found += [("broker", (each["peer_port"], each["port"])) for each in node.connections()]
    return found


def server_of(url: str, database: str) -> str:
    """The tests' broker and locks are two databases of one Valkey."""
    if url == settings.REDIS_URL:
        return "cache"
    return "locks" if settings.LOCKS_URL.endswith(f"/{database}") else "broker"


def count(processes: Mapping[str, int], node: Node | None = None) -> Counts:
    """The connections of these processes at this moment."""
    has = owners(processes)
    return Counter((has[ends], server) for server, ends in accepted(node) if ends in has)
