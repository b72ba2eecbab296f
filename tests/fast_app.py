"""The site's Celery app with short times and faulty tasks: `--app tests.fast_app`."""

import os
from datetime import timedelta

from config.celery import REDIS_TRANSPORT, app
from workers.brokers.connection import SHORT_TIMEOUTS
from workers.runtime import heartbeat_file, hung_processes, stopping
from workers.schedule import every
from workers.telemetry import liveness

heartbeat_file.INTERVAL_SECONDS = 1
liveness.HEARTBEAT_SECONDS = float(os.environ.get("HEARTBEAT_SECONDS", liveness.HEARTBEAT_SECONDS))
liveness.SILENT_SECONDS = int(os.environ.get("SILENT_SECONDS", liveness.SILENT_SECONDS))
hung_processes.KILL_SECONDS = int(os.environ.get("KILL_SECONDS", hung_processes.KILL_SECONDS))
stopping.GRACE_SECONDS = int(os.environ.get("GRACE_SECONDS", stopping.GRACE_SECONDS))
app.conf.imports = (*app.conf.imports, "tests.faulty_tasks")
if "PUBLISH_SECONDS" in os.environ:  # as PATIENCE in tests/rabbitmq.py
    seconds = float(os.environ["PUBLISH_SECONDS"])
    SHORT_TIMEOUTS.update({name: seconds for name in SHORT_TIMEOUTS if name.endswith("_timeout")})
REDIS_TRANSPORT.update(
    visibility_timeout=int(os.environ.get("VISIBILITY_TIMEOUT", "300")),
    unacked_restore_interval=1,
    unacked_restore_throttle=1,
)
app.conf.beat_schedule = {
    "every second": every(timedelta(seconds=1), "workers.default.tasks.sweep_jobs"),
    "every hour": every(timedelta(hours=1), "workers.default.tasks.collect_runs"),
}
app.conf.beat_schedule.pop(os.environ.get("ENTRY_OF_THE_NEXT_RELEASE"), None)
app.conf.beat_scheduler = "tests.fast_beat:FastScheduler"
app.conf.leader_callbacks = {
    "tests.fast_beat.fail": 1,
    "tests.fast_beat.take_a_sample": 1,
    "workers.practices.recurring.restore_entries": 1,
    "workers.telemetry.pauses.refresh_copy": 1,
}
