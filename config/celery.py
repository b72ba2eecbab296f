"""The Celery app. Some options depend on the broker: a value that keeps work on RabbitMQ strands it on Redis."""

import gc
from importlib import import_module

from celery import Celery
from celery.app.utils import Settings
from celery.signals import (
    beat_init,
    before_task_publish,
    celeryd_init,
    setup_logging,
    task_postrun,
    task_prerun,
    task_received,
    task_revoked,
    worker_init,
    worker_process_init,
    worker_ready,
)
from django.conf import settings
from django.utils.log import configure_logging
from django.utils.module_loading import import_string

from config.queues import TABLE
from config.schedule import SCHEDULE
from workers import child_process, log_context
from workers.brokers.connection import is_amqp
from workers.brokers.declarations import declarations, queue_type
from workers.practices import broker
from workers.queues import SHORT_RUN_SECONDS
from workers.runtime import (
    acknowledgement,
    heartbeat_file,
    pending_guard,
    shared_prefetch,
    stopping,
    visibility_timeout,
    worker_heartbeat,
)
from workers.telemetry import run_log
from workers.telemetry.recorder import run_finished

AMQP = is_amqp()
REDIS_TRANSPORT = {
    # Redis delivers a dead worker's message again after this timeout and at most 30 s more; with kombu's defaults,
    # 100 s more (docs/facts/celery.md#visibility-timeout). A living worker renews it
    # (docs/facts/celery.md#lease-renewal).
    "visibility_timeout": visibility_timeout.VISIBILITY_TIMEOUT_SECONDS,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 3,
    # Without timeouts, a publish to a host that drops packets hangs (docs/facts/celery.md#publish-timeouts).
    "socket_connect_timeout": 1,
    "socket_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
# Without confirms, a broker in a memory alarm loses messages. With confirms but no timeout, a publish hangs
# (docs/facts/celery.md#memory-alarm-publish).
AMQP_TRANSPORT = {
    "confirm_publish": True,
    "read_timeout": 3,
    "write_timeout": 3,
}

# The base of every task (docs/facts/celery.md#memory-error). A dotted path, because Celery imports it with the first
# task, when Django's apps are loaded (docs/facts/celery.md#lazy-task-class).
app = Celery("mediaapp", task_cls="workers.runtime.task:Task")
app.conf.update(
    broker_url=settings.BROKER_URL,
    broker_use_ssl=settings.BROKER_TLS or None,
    broker_transport_options=AMQP_TRANSPORT if AMQP else REDIS_TRANSPORT,
    # A worker reconnects to its broker without end, at the start too.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # Small plans allow few connections. Without the timeout, a thread waits for a free one without end
    # (docs/facts/celery.md#connection-pool).
    broker_pool_limit=settings.BROKER_POOL,
    broker_pool_acquire_timeout=3,
    # Queues come from config/queues.py. To publish to an unknown queue is an error: it would have no consumer.
    imports=TABLE.task_modules,
    task_queues=declarations(amqp=AMQP),
    task_routes=TABLE.routes,
    task_default_queue="default",
    task_create_missing_queues=False,
    task_default_queue_type=queue_type() if AMQP else "classic",
    # The broker delivers a killed worker's message again at once (docs/facts/celery.md#redelivery). A second delivery
    # is harmless, because a worker claims the job's row first.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    # A process prefetches no message that another one could run, except of other quorum queues
    # (docs/decisions/0004-quorum-queues.md#a-busy-worker-holds-messages).
    worker_prefetch_multiplier=1,
    # After a lost connection, RabbitMQ delivers the message to another worker, so the first one stops its task. On
    # Redis, the option strands the message (docs/facts/celery.md#cancel-on-connection-loss).
    worker_cancel_long_running_tasks_on_connection_loss=AMQP,
    # A cancel is a flag in the job's row, so no worker needs remote control. With it, a worker dies when Redis
    # restarts, and on RabbitMQ when it reconnects under its name (docs/facts/celery.md#remote-control-restart).
    worker_enable_remote_control=False,
    # No gossip and no mingle between workers, and no consumer of a queue that staff have paused.
    worker_consumer="workers.runtime.paused_queues:PausableConsumer",
    # Each task has a limit; a longer task sets its own in its decorator (practices.E303).
    task_soft_time_limit=SHORT_RUN_SECONDS - 2,
    task_time_limit=SHORT_RUN_SECONDS,
    # No result backend: the state of a job is in its row. A backend costs each child a connection.
    task_ignore_result=True,
    result_expires=None,  # else beat sends a nightly clean-up task (docs/facts/celery.md#backend-cleanup)
    # A message contains ids and short strings only.
    task_serializer="json",
    accept_content=["json"],
    worker_send_task_events=False,
    task_send_sent_event=False,
    # One log format for the site and its workers: Django's.
    worker_hijack_root_logger=False,
    # UTC: a local crontab repeats or skips an hour when the clocks change (docs/facts/celery.md#daylight-saving-time).
    timezone="UTC",
    enable_utc=True,
    # Two schedulers would send each task twice (docs/facts/celery.md#two-beats).
    beat_scheduler="workers.runtime.leader:LeaderScheduler",
    # Functions that must not wait in a queue, and the seconds between two calls (workers/runtime/leader.py).
    leader_callbacks={
        "workers.jobs.recovery.recover_orphans": 2,
        "workers.practices.recurring.restore_entries": 5,
        "workers.telemetry.pauses.refresh_copy": 3,
        "workers.practices.backlog.sample": 30,
    },
    beat_schedule=SCHEDULE,
    beat_max_loop_interval=5,
    beat_sync_every=1,
)
if not AMQP:
    app.steps["consumer"].update({visibility_timeout.VisibilityTimeoutRenewal, acknowledgement.AcknowledgementCheck})
elif queue_type() == "classic":
    app.steps["consumer"].add(shared_prefetch.SharedPrefetch)
# A hole in ffmpeg must not give away the worker's environment, which has all secrets.
worker_init.connect(child_process.forbid_inspection)
# Connected before heartbeat_file.start, so that a worker which reports readiness handles SIGTERM.
worker_ready.connect(stopping.install_signal_handlers)
worker_ready.connect(worker_heartbeat.start)
# Marks beat's message as consumed, so that beat may send the next one.
task_received.connect(pending_guard.on_task_received)
task_revoked.connect(pending_guard.on_task_revoked)

# The request id goes from the site's log through the message into the worker's log.
before_task_publish.connect(log_context.add_request_id)
task_prerun.connect(log_context.bind_task)


@worker_process_init.connect
def unbind_after_other_receivers(**_: object) -> None:
    """The models are loaded by now, and so are all modules whose receivers log a run's end."""
    task_postrun.connect(log_context.unbind_task)


run_finished.connect(run_log.log_run)
# Imported only where the environment names who gets them.
if settings.IS_TRACING:
    import_module("workers.tracing.spans").connect(app)
if settings.SENTRY_DSN:
    import_module("workers.error_reports").connect()


@setup_logging.connect
def use_the_sites_logging(**_: object) -> None:
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)


@celeryd_init.connect
def name_connections(sender: str, conf: Settings, **_: object) -> None:
    """On Redis, practice 1 finds a worker by the name of its connections."""
    if not AMQP:
        conf.broker_transport_options = REDIS_TRANSPORT | {"client_name": sender}


@beat_init.connect
def start_monitor(**_: object) -> None:
    """In beat, because it needs neither a worker nor the broker. By name: it imports models."""
    import_string("workers.alarms.monitor.start")()


@worker_init.connect
@worker_ready.connect
def prepare_broker(**_: object) -> None:
    """Before the start, at which Celery binds the queues of all workers to its delay queues: they must exist."""
    broker.prepare_queues()


@worker_init.connect
def freeze_loaded_code(**_: object) -> None:
    """Before the fork, so that the code is in memory once: a pool process's collection would copy it."""
    gc.freeze()


# The last receiver of worker_ready: a process that waits for the file finds a worker that handles signals.
worker_ready.connect(heartbeat_file.start)
