"""The site's Celery app, whose worker's processes tell whether others of their user can read their memory."""

import os
from pathlib import Path

from celery.signals import worker_process_init, worker_ready

from config.celery import app
from workers import child_process

__all__ = ["app"]


@worker_ready.connect
@worker_process_init.connect
def tell(signal: object, **_: object) -> None:
    name = "main" if signal is worker_ready else "child"
    Path(os.environ["TMPDIR"], f"inspectable-{name}").write_text(str(child_process.is_inspectable()))
