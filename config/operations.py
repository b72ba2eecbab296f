"""The settings of alarms and metrics: a part of config/settings.py, in which `django.conf.settings` finds them."""

from config.environment import env

# Who shows it reads /metrics and /healthz/practices, as staff do: Prometheus, an uptime monitor. Unset: staff alone.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# Alarms (docs/alarms.md). Seconds between two measurements; for which a practice does not hold before its alarm, by its
# number, 0 for none; for which it holds again before the recovery is told; in which it has one alarm at most; for which
# no alarm is raised after a new release, which restarts everything.
MONITOR_SECONDS = env.float("MONITOR_SECONDS", default=15)
ALERT_AFTER = env.int("ALERT_AFTER_SECONDS", default=120)
ALERT_AFTER_SECONDS = {number: env.int(f"ALERT_AFTER_SECONDS_{number}", default=ALERT_AFTER) for number in range(1, 10)}
ALERT_RECOVERY_SECONDS = env.int("ALERT_RECOVERY_SECONDS", default=60)
ALERT_REPEAT_SECONDS = env.int("ALERT_REPEAT_SECONDS", default=600)
ALERT_DEPLOY_SECONDS = env.int("ALERT_DEPLOY_SECONDS", default=180)
# Not Django's ADMINS: its log handler would mail each error of a request, while its user waits.
ALERT_ADDRESSES = env.list("ADMINS", default=[])
ALERT_WEBHOOK_URL = env.str("ALERT_WEBHOOK_URL", default="")
ALERT_WEBHOOK_SECRET = env.str("ALERT_WEBHOOK_SECRET", default="")
ALERT_WEBHOOK_FORMAT = env.str("ALERT_WEBHOOK_FORMAT", default="") or "json"
# Somebody outside rings when this address is no longer called each minute.
HEARTBEAT_URL = env.str("HEARTBEAT_URL", default="")
HEARTBEAT_SECONDS = 60
