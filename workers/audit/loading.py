"""Imports a project's app, its tasks and its settings, without a connection to any server."""

import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery
from celery.app.utils import find_app
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from workers.audit.process_files import read_folder
from workers.audit.project import Project

CONNECTS = ("socket.connect", "socket.sendto")


class ConnectionForbiddenError(OSError):
    """A module that the audit imports wanted to connect to a server."""


class AppUnreadableError(Exception):
    """The app's modules cannot be imported here."""


def forbid_connections() -> None:
    """For the rest of the process, for all that uses Python's sockets. libpq has its own, and nothing here asks it."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CONNECTS:
            raise ConnectionForbiddenError(f"The audit connects to no server, and this would: {arguments[1:]}")

    sys.addaudithook(refuse)


def load_app(name: str) -> Celery:
    """name: as for `celery -A`. Raises AppUnreadableError."""
    try:
        app: Celery = find_app(name)
        load_tasks(app)
    except Exception as error:  # whatever the project's modules raise
        raise AppUnreadableError(f"{name} cannot be imported: {error!r}") from error
    return app


def load_tasks(app: Celery) -> None:
    """Imports the modules of its tasks."""
    os.environ["CELERY_SKIP_CHECKS"] = "1"  # Django's own checks may ask a database
    app.loader.import_default_modules()
    app.finalize()


def read_project(app: Celery, root: Path, name: str = "") -> Project:
    """name: of the app in the commands of its workers; without it, the workers of all apps count."""
    package = name.partition(":")[0].partition(".")[0]
    commands = [
        command
        for command in read_folder(root)
        if not (package and (other := command.option("app")) and other.partition(":")[0].partition(".")[0] != package)
    ]
    try:
        caches, table = settings.CACHES, getattr(settings, "QUEUE_TABLE", None)
    except ImproperlyConfigured:  # a project without Django
        caches, table = {}, None
    return Project(app, tuple(commands), caches, table)
