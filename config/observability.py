"""The settings of log, traces and errors: a part of config/settings.py, in which `django.conf.settings` finds them."""

import logging
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from config.environment import env
from workers import log_context

# The running version, which TaskRun.release records: tasks often become slower with a deploy. On Heroku "v42 1a2b3c4".
HEROKU = (env.str("HEROKU_RELEASE_VERSION", default=""), env.str("HEROKU_SLUG_COMMIT", default="")[:7])
RELEASE = (env.str("RELEASE", default="") or " ".join(filter(None, HEROKU)))[:12]

LOG_FORMAT = env.str("LOG_FORMAT", default="") or "line"
if LOG_FORMAT not in ("line", "json"):
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}: write line or json. See docs/logging.md.")
IS_JSON = LOG_FORMAT == "json"
# Else Python writes a warning to stderr, in lines of its own.
logging.captureWarnings(IS_JSON)
# At INFO these write six lines every ten seconds about recurring tasks. workers.jobs logs what jobs do.
QUIET = ("celery.worker.strategy", "celery.app.trace", "celery.beat")
LOGGERS: dict[str, dict[str, Any]] = {name: {"level": "WARNING"} for name in QUIET}
LOGGERS["mediaapp.access"] = {"level": "INFO"}
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = log_context.logging_to_stdout(LOG_LEVEL, LOGGERS, is_json=IS_JSON, release=RELEASE)
# OpenTelemetry's SDK reads its standard variables itself (docs/tracing.md). Without a collector it is not imported.
COLLECTOR = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default="") or env.str(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", default=""
)
IS_TRACING = bool(COLLECTOR) and not env.bool("OTEL_SDK_DISABLED", default=False)
# It would write several lines for each batch that a collector does not take; workers.tracing.sender writes one.
LOGGERS["opentelemetry"] = {"level": "CRITICAL"}

# Errors go there. Sentry's own traces, a share of 0 to 1, are off unless asked for.
SENTRY_DSN = env.str("SENTRY_DSN", default="")
SENTRY_TRACES_SAMPLE_RATE = env.float("SENTRY_TRACES_SAMPLE_RATE", default=None)
# Granian's own lines, which it sets up itself (config/server.py).
GRANIAN_LOGGING = log_context.logging_to_stdout("INFO", {"_granian": {}}, is_json=IS_JSON, release=RELEASE)
