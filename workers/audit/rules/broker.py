"""Practice 1: what is known of the broker without asking it."""

from collections.abc import Iterator

from kombu import Queue

from workers.addresses import server_of
from workers.audit.messages import Message, listed, unknown
from workers.audit.project import AMQP, REDIS, Project
from workers.audit.routes import declared_queues

NEEDED = {
    **dict.fromkeys(REDIS, ("socket_connect_timeout", "socket_timeout")),
    **dict.fromkeys(AMQP, ("confirm_publish", "read_timeout", "write_timeout")),
}


def find(project: Project) -> Iterator[Message]:
    yield from _servers(project)
    yield from _timeouts(project)
    yield from _limits(project)


def _servers(project: Project) -> Iterator[Message]:
    if project.transport not in REDIS:
        return
    broker = server_of(project.broker_url)
    for alias, cache in project.caches.items():
        locations = cache.get("LOCATION") or ()
        for location in (locations,) if isinstance(locations, str) else locations:
            if alias != "locks" and "://" in location and server_of(location) == broker:
                yield Message(
                    "practices.E101",
                    f"The broker and the cache {alias} are the same server.",
                    "Give the cache a server of its own: a cache must evict, and an evicted message is a lost task.",
                )


def _timeouts(project: Project) -> Iterator[Message]:
    needed = NEEDED.get(project.transport)
    if needed is None:
        fault = f"Nobody here knows which timeouts the transport {project.transport} has."
        yield unknown("practices.E102", fault, "Find out how long a publish waits while its server is silent.")
        return
    options = project.app.conf.broker_transport_options or {}
    if missing := [name for name in needed if not options.get(name)]:
        values = ", ".join(f'"{name}": {True if name == "confirm_publish" else 3}' for name in missing)
        yield Message(
            "practices.E102",
            f"A publish goes out without {', '.join(missing)}: a web request hangs, or a task is lost without a word.",
            f"Write broker_transport_options = {{{values}}}.",
        )


def _limits(project: Project) -> Iterator[Message]:
    unlimited = {name for name in project.queues if not _has_limit(project, name)}
    if unlimited:
        where = "A policy of RabbitMQ may" if project.transport in AMQP else "The code that publishes may count and"
        yield unknown(
            "practices.E103",
            f"No limit is seen for {listed(unlimited)}. {where} limit it.",
            'Declare it with queue_arguments={"x-max-length": ...} or a policy, or with max_messages in a table.',
        )


def _has_limit(project: Project, name: str) -> bool:
    if project.table:
        return name in project.table.queues and bool(project.table.queues[name].max_messages)
    queue = declared_queues(project.app).get(name)
    arguments = (queue.queue_arguments if isinstance(queue, Queue) else None) or {}
    return bool({"x-max-length", "x-max-length-bytes"} & arguments.keys())
