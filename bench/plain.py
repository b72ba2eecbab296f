"""Celery without our code, to compare with: `celery --app bench.plain:app worker`. It imports no Django.

`app` has those options of config/celery.py that decide what a dead worker loses, `defaults` has none of them.
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
DELIVERY_OPTIONS = {"task_acks_late": True, "task_reject_on_worker_lost": True, "worker_prefetch_multiplier": 1}

app = Celery("plain", broker=os.environ["BROKER_URL"])
app.conf.update(**OPTIONS, **DELIVERY_OPTIONS, task_default_queue="default")
defaults = Celery("defaults", broker=os.environ["BROKER_URL"])
defaults.conf.update(**OPTIONS, task_default_queue="default")

# As quiet as ours (LOGGING in config/settings.py): two lines per task would be its main cost.
for name in ("celery.worker.strategy", "celery.app.trace"):
    logging.getLogger(name).setLevel(logging.WARNING)


@worker_ready.connect
def touch_ready_file(**_: object) -> None:
    Path(os.environ["READY_DIR"], os.environ["PROCESS"]).touch()
