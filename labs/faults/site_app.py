"""The site's own Celery app with short times: `--app labs.faults.site_app`. FAULT_OPTIONS as in plain_app.py."""

import json
import os

from config.celery import REDIS_TRANSPORT, app
from workers.runtime import hung_processes, stopping
from workers.telemetry import liveness

liveness.HEARTBEAT_SECONDS, liveness.SILENT_SECONDS, hung_processes.KILL_SECONDS = 0.5, 2, 1
stopping.GRACE_SECONDS = int(os.environ.get("GRACE_SECONDS", "3"))
options = json.loads(os.environ.get("FAULT_OPTIONS", "{}"))
REDIS_TRANSPORT.update(options.pop("broker_transport_options", {}))
app.conf.update(options)
app.conf.imports = (*app.conf.imports, "labs.faults.tasks", "labs.faults.site_tasks")
app.conf.leader_callbacks = {}
