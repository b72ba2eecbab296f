"""The faults of labs/chaos.py: one process or server is killed, stopped, frozen, or its data are flushed."""

import random
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import psutil
from django_redis import get_redis_connection

from devtools.rabbitmq import CTL
from devtools.servers import Server
from labs.site import NAMES, WITH_POOL, Site
from workers.brokers.connection import is_amqp

SHORT_SECONDS, LONG_SECONDS = (1, 8), (15, 60)  # a process that is frozen for long is rightly taken for dead
# A job begins again when its worker has lost one of them. `broker` is the Valkey that has the locks, too.
ENDS_ATTEMPTS = ("postgres", "rabbitmq", "broker")


@dataclass(frozen=True)
class Fault:
    """worker: the one that it hits."""

    name: str
    inject: Callable[[], object]
    worker: str = ""

    @property
    def ends_attempts(self) -> bool:
        return self.name.startswith(ENDS_ATTEMPTS)


def faults(site: Site, max_seconds: float) -> list[Fault]:
    """max_seconds: of a freeze."""
    seconds = min(max_seconds, random.uniform(*random.choice((SHORT_SECONDS, LONG_SECONDS))))
    found = []
    for name in NAMES:
        found.append(Fault(f"{name} killed", partial(site.kill, name), name))
        found.append(Fault(f"{name} stopped", partial(site.stop, name), name))
        found.append(Fault(f"{name} frozen", partial(site.freeze, name, seconds), name))
    for name in WITH_POOL:
        found.append(Fault(f"{name}'s child killed", partial(site.kill_child, name), name))
        found.append(Fault(f"{name}'s child frozen", partial(site.freeze_child, name, seconds), name))
    for server in list(Server.running):
        found.append(Fault(f"{server.data.name} killed", server.crash))
        found.append(Fault(f"{server.data.name} frozen", partial(freeze_server, server, seconds)))
    if is_amqp():
        found.append(Fault("rabbitmq restarted", restart_rabbitmq))
    found.append(Fault("cache flushed", get_redis_connection("default").flushdb))
    found.append(Fault("locks flushed", get_redis_connection("locks").flushdb))
    return found


def freeze_server(server: Server, seconds: float) -> None:
    """PostgreSQL's processes for its clients, too."""
    processes = [server.process, *psutil.Process(server.process.pid).children()]
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # a client's may end meanwhile
            process.suspend()
    time.sleep(seconds)
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.resume()


def restart_rabbitmq() -> None:
    """Its node; `python -m labs --rabbitmq` gives this process the node's environment."""
    for command in ("stop_app", "start_app"):
        subprocess.run([str(CTL), "--quiet", command], check=True)  # noqa: S603 - ours
