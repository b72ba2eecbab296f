"""Who holds which connection: what the servers say, matched with the processes that hold the other ends."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

import psutil
from django.conf import settings
from django.db import connection
from redis import from_url

from devtools.rabbitmq import Node

Counts = Counter[tuple[str, str]]  # by (process type, server)


def owners(processes: Mapping[str, int]) -> dict[int, str]:
    """The local ports of processes, with all their children; by port, the type of the process that has it."""
    found = {}
    for name, pid in processes.items():
        with suppress(psutil.NoSuchProcess):
            main = psutil.Process(pid)
            for process in (main, *main.children(recursive=True)):
                with suppress(psutil.Error):
                    found |= {each.laddr.port: name for each in process.net_connections("tcp")}
    return found


def ports(node: Node | None) -> list[tuple[str, int]]:
    """(server, client's port) for each connection that a server has now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT client_port FROM pg_stat_activity WHERE datname = current_database()")
        found = [("database", port) for (port,) in cursor.fetchall() if port]
    for url in {settings.REDIS_URL, settings.BROKER_URL}:
        with from_url(url) as server:
            for client in server.client_list():
                port = int(client["addr"].rpartition(":")[2])
                found.append((server_of(url, client["db"]), port))
    if node:
        found += [("broker", each["peer_port"]) for each in node.connections()]
    return found


def server_of(url: str, database: str) -> str:
    """The tests' broker and locks are two databases of one Valkey."""
    if url == settings.REDIS_URL:
        return "cache"
    return "locks" if settings.LOCKS_URL.endswith(f"/{database}") else "broker"


def count(processes: Mapping[str, int], node: Node | None = None) -> Counts:
    """The connections of these processes at this moment."""
    has = owners(processes)
    return Counter((has[port], server) for server, port in ports(node) if port in has)
