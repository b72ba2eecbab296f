"""A Celery app as a tutorial makes it: `--app labs.faults.plain_app`. FAULT_OPTIONS has more options, as JSON."""

import json
import os
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_ready

app = Celery("plain", broker=os.environ["BROKER_URL"], include=["labs.faults.tasks"])
app.conf.update(json.loads(os.environ.get("FAULT_OPTIONS", "{}")))


@worker_ready.connect
def report_readiness(**_: Any) -> None:
    """For the lab, which waits for it."""
    if folder := os.environ.get("READY_DIR"):
        Path(folder, "worker").touch()
