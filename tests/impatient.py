"""The site's Celery app with times that a test can wait for, and with tasks that misbehave: `--app tests.impatient`."""

import os
from datetime import timedelta

from config.celery import REDIS_TRANSPORT, app
from workers.practices.recurring import every
from workers.runtime import alive, stopping

alive.EVERY = 1
stopping.GRACE = int(os.environ.get("GRACE", stopping.GRACE))
app.conf.imports = (*app.conf.imports, "tests.misbehaving")
REDIS_TRANSPORT.update(
    visibility_timeout=int(os.environ.get("VISIBILITY_TIMEOUT", "300")),
    unacked_restore_interval=1,
    unacked_restore_throttle=1,
)
app.conf.beat_schedule = {
    "every second": every(timedelta(seconds=1), "workers.default.tasks.sweep_jobs"),
    "every hour": every(timedelta(hours=1), "workers.default.tasks.delete_old"),
}
app.conf.beat_scheduler = "tests.leading:HastyScheduler"
app.conf.leader_duties = {"tests.leading.fail": 1, "tests.leading.take_a_sample": 1}
