"""The web server: granian, few processes, each with an event loop for clients and a few threads for the site's code.

`python -m config.server [package.module:application]`. Why granian: docs/decisions/0006-slow-clients.md.
"""

import gc
import multiprocessing
import sys
from importlib import import_module
from typing import Any

import environ
from django.conf import settings
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer

from workers.child_process import die_with_parent

SITE = "config.asgi:application"
HEADER_SECONDS = 10  # for a request's header, and of silence between two requests
HEADER_BYTES = 65_536
# Of all processes together, so that they fit into a small dyno: a silent one costs 20 kB, and one that has sent a large
# body up to 220 kB in granian (docs/decisions/0006-slow-clients.md).
CONNECTIONS = 1536
# Heroku and docker compose send SIGKILL 30 s after SIGTERM.
STOP_SECONDS = 25


def make_server(site: str) -> MPServer:
    env = environ.Env()
    workers = env.int("WEB_CONCURRENCY", default=2)
    return MPServer(
        site,
        # In development only this machine may connect. A container must accept connections from outside.
        address=env.str("WEB_ADDRESS", default="127.0.0.1" if env.bool("DEBUG", default=False) else "0.0.0.0"),  # noqa: S104
        port=env.int("PORT", default=8000),
        workers=workers,
        interface=Interfaces.ASGINL,
        loop=Loops.asyncio,
        http=HTTPModes.http1,
        websockets=False,
        backlog=CONNECTIONS,
        backpressure=CONNECTIONS // workers,
        http1_settings=HTTP1Settings(header_read_timeout=1000 * HEADER_SECONDS, max_buffer_size=HEADER_BYTES),
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        # At INFO, granian writes a line for each client that hangs up.
        log_level=LogLevels.warning,
        log_dictconfig=settings.GRANIAN_LOGGING,
    )


def load(site: str) -> Any:
    module, _, name = site.partition(":")
    return getattr(import_module(module), name)


def load_in_worker(site: str) -> Any:
    """A worker would outlive a killed main process, and keep the port."""
    die_with_parent()
    return load(site)


def serve(site: str) -> None:
    # Loaded before the fork, the code is in memory once (docs/decisions/0006-slow-clients.md).
    multiprocessing.set_start_method("fork" if sys.platform == "linux" else "spawn")
    load(site)
    gc.freeze()
    make_server(site).serve(target_loader=load_in_worker)


if __name__ == "__main__":
    serve(*(sys.argv[1:] or [SITE]))
