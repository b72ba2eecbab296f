"""Celery without us, to compare with: no Django, no signals, no base task; `celery --app bench.plain:app worker`.

`app` has the options of config/celery.py that say what is lost when a worker dies, `defaults` has none of them.
"""

import logging
import os
from pathlib import Path

from celery import Celery
from celery.signals import worker_ready

OPTIONS = {
    "include": ["bench.tasks"],
    "task_ignore_result": True,
    "worker_enable_remote_control": False,
    "broker_connection_retry_on_startup": True,
}
SAFE = {"task_acks_late": True, "task_reject_on_worker_lost": True, "worker_prefetch_multiplier": 1}

app = Celery("plain", broker=os.environ["BROKER_URL"])
app.conf.update(**OPTIONS, **SAFE, task_default_queue="default")
defaults = Celery("defaults", broker=os.environ["BROKER_URL"])
defaults.conf.update(**OPTIONS, task_default_queue="default")

# Two lines for each task would be its main cost: as quiet as ours (LOGGING in config/settings.py).
for name in ("celery.worker.strategy", "celery.app.trace"):
    logging.getLogger(name).setLevel(logging.WARNING)


@worker_ready.connect
def readiness(**_: object) -> None:
    Path(os.environ["READY_DIR"], os.environ["PROCESS"]).touch()
