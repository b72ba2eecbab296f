"""The settings of alarms and metrics: a part of config/settings.py, in which `django.conf.settings` finds them."""

from config.environment import env

# Who shows it reads /metrics and /healthz/practices, as staff do: Prometheus, an uptime monitor. Unset: staff alone.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
