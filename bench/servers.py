"""Runs the site for a measurement: under the Procfile's server, or under the one that WEB_COMMAND names.

WEB_COMMAND: a command with {port}, to compare servers (docs/decisions/0006-slow-clients.md).
"""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from devtools.ports import free_port, is_answering
from devtools.processes import Web, ready_process, web


@contextmanager
def bench_site(**variables: str) -> Iterator[Web]:
    command = os.environ.get("WEB_COMMAND", "")
    if not command:
        with web(variables, app="bench", probe="/healthz") as site:
            yield site
        return
    with TemporaryDirectory(prefix="web-") as folder:
        port, log = free_port(), Path(folder, "log")
        words, answers = shlex.split(command.format(port=port)), partial(is_answering, port, "/healthz")
        with ready_process("web", words, {"PORT": str(port), **variables}, log=log, is_ready=answers) as process:
            yield Web(process, port, log)
