"""Sentry: the errors of requests, tasks and jobs. Imported only if the environment has SENTRY_DSN (docs/tracing.md).

No personal data: of a request its method and its address without the query, of a task no argument, of a frame no
variable, since those hold cells of users' files.
"""

from typing import Any

import sentry_sdk
from celery.signals import worker_process_init
from django.conf import settings
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.stdlib import StdlibIntegration

from workers import log_context
from workers.telemetry.recorder import Run, run_finished

LAST_SECONDS = 1  # for the last reports of a process that ends


def connect() -> None:
    start()
    # Its queue and its locks may be in use by a thread of the main process while that forks.
    worker_process_init.connect(start)
    run_finished.connect(report_failed_job)


def start(**_: object) -> None:
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        release=settings.RELEASE or None,
        traces_sample_rate=settings.SENTRY_TRACES_SAMPLE_RATE,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        auto_session_tracking=False,
        auto_enabling_integrations=False,
        integrations=[
            DjangoIntegration(),
            LoggingIntegration(level=None),  # no breadcrumbs: lines of the log name people
            CeleryIntegration(propagate_traces=bool(settings.SENTRY_TRACES_SAMPLE_RATE)),
            AtexitIntegration(callback=lambda pending, seconds: None),  # else it writes to stderr
        ],
        disabled_integrations=[StdlibIntegration()],  # it writes into the environment of ffmpeg
        shutdown_timeout=LAST_SECONDS,
        before_send=prepare,
        before_send_transaction=prepare,
    )


def report_failed_job(run: Run, **_: object) -> None:
    """Celery sees a success. An error with a sentence for the owner is a warning: it is often that of his file."""
    if run.error:
        level = "warning" if getattr(run.error, "sentence", "") else "error"
        sentry_sdk.capture_exception(run.error, level=level, tags={"attempt": run.attempt})


def prepare(event: Any, hint: Any) -> Any:
    """With what a log line has, and without what the log leaves out."""
    tags = {name: variable.get() for name, variable in log_context.CONTEXT.items()}
    event["tags"] = {**event.get("tags", {}), **{name: tag for name, tag in tags.items() if tag != log_context.UNKNOWN}}
    if request := event.get("request"):
        event["request"] = {name: request[name] for name in ("method", "url") if name in request}
    return _anonymize(event)


def _anonymize(value: Any) -> Any:
    if isinstance(value, str):
        return log_context.anonymize(value)
    if isinstance(value, dict):
        return {name: _anonymize(each) for name, each in value.items()}
    return [_anonymize(each) for each in value] if isinstance(value, (list, tuple)) else value
