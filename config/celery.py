"""The Celery app, each option with its reason. docs/facts/celery.md says what was measured.

The right value of some options depends on the broker: what keeps work on RabbitMQ strands it on Redis.
"""

from celery import Celery
from celery.app.utils import Settings
from celery.signals import (
    before_task_publish,
    celeryd_init,
    setup_logging,
    task_postrun,
    task_prerun,
    task_received,
    task_revoked,
    worker_init,
    worker_ready,
)
from django.conf import settings
from django.utils.log import configure_logging

from config.queues import TABLE
from config.schedule import SCHEDULE
from workers import log_context
from workers.brokers.declarations import declarations, queue_type
from workers.practices import broker
from workers.runtime import (
    acknowledgement,
    heartbeat_file,
    pending_guard,
    shared_prefetch,
    stopping,
    visibility_timeout,
)

AMQP = settings.BROKER_URL.startswith("amqp")
REDIS_TRANSPORT = {
    # A dead worker's message is delivered again after this and at most 30 s more; kombu's default is 100 s more
    # (docs/facts/celery.md#visibility-timeout). A living worker renews it, however long its task takes
    # (docs/facts/celery.md#lease-renewal).
    "visibility_timeout": visibility_timeout.VISIBILITY_TIMEOUT_SECONDS,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 3,
    # Without them a publish to a host that drops packets hangs (docs/facts/celery.md#publish-timeouts).
    "socket_connect_timeout": 1,
    "socket_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
AMQP_TRANSPORT = {
    # Without confirms a broker in a memory alarm loses what was "sent"; with confirms alone a publish hangs
    # (docs/facts/celery.md#memory-alarm-publish).
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
    # A worker waits for its broker, at the start and for ever.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # Small plans allow few connections. A thread that finds none free does not wait for ever
    # (docs/facts/celery.md#connection-pool).
    broker_pool_limit=settings.BROKER_POOL,
    broker_pool_acquire_timeout=3,
    # Queues: the one table. A name that it does not know is an error when sent, not a queue that nobody reads.
    imports=TABLE.task_modules,
    task_queues=declarations(amqp=AMQP),
    task_routes=TABLE.routes,
    task_default_queue="default",
    task_create_missing_queues=False,
    task_default_queue_type=queue_type() if AMQP else "classic",
    # A killed worker's message goes back at once (docs/facts/celery.md#redelivery). The claim of the row makes a second
    # delivery harmless.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    # Long jobs do not hoard the short ones behind them.
    worker_prefetch_multiplier=1,
    # On RabbitMQ a worker without its connection would run a job twice; on Redis this strands the message
    # (docs/facts/celery.md#cancel-on-connection-loss).
    worker_cancel_long_running_tasks_on_connection_loss=AMQP,
    # A cancel is a flag in the row. A worker that listens for commands dies when Redis restarts, and on RabbitMQ when
    # it comes back under its name (docs/facts/celery.md#remote-control-restart).
    worker_enable_remote_control=False,
    # Nobody listens to what workers tell each other.
    worker_consumer="workers.runtime.quiet_consumer:QuietConsumer",
    # Every task ends. A task asks for more in its own decorator.
    task_soft_time_limit=25,
    task_time_limit=30,
    # State lives in rows: no result backend, no connection per child for it.
    task_ignore_result=True,
    result_expires=None,  # else beat sends a nightly task for it (docs/facts/celery.md#backend-cleanup)
    # Ids and short strings only.
    task_serializer="json",
    accept_content=["json"],
    worker_send_task_events=False,
    task_send_sent_event=False,
    # One log format for the site and its workers: Django's.
    worker_hijack_root_logger=False,
    # UTC: a local crontab repeats or skips an hour when the clocks change (docs/facts/celery.md#daylight-saving-time).
    timezone="UTC",
    enable_utc=True,
    # Two beats would send everything twice (docs/facts/celery.md#two-beats).
    beat_scheduler="workers.runtime.leader:LeaderScheduler",
    # What must not wait in a queue, and the seconds between two calls (workers/runtime/leader.py).
    leader_callbacks={"workers.practices.backlog.sample": 30},
    beat_schedule=SCHEDULE,
    beat_max_loop_interval=5,
    beat_sync_every=1,
)
if not AMQP:
    app.steps["consumer"].update({visibility_timeout.VisibilityTimeoutRenewal, acknowledgement.AcknowledgementCheck})
elif queue_type() == "classic":
    app.steps["consumer"].add(shared_prefetch.SharedPrefetch)
# Before readiness: a worker that is ready can be told to stop.
worker_ready.connect(stopping.install_signal_handlers)
# What beat sent is seen, so that beat may send the next one.
task_received.connect(pending_guard.on_task_received)
task_revoked.connect(pending_guard.on_task_revoked)

# A click can be followed from the site's log into the worker's.
before_task_publish.connect(log_context.add_request_id)
task_prerun.connect(log_context.bind_task)
task_postrun.connect(log_context.unbind_task)


@setup_logging.connect
def use_the_sites_logging(**_: object) -> None:
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)


@celeryd_init.connect
def name_connections(sender: str, conf: Settings, **_: object) -> None:
    """On Redis nobody registers as a reader: a worker is known by the name of its connections (practice 1)."""
    if not AMQP:
        conf.broker_transport_options = REDIS_TRANSPORT | {"client_name": sender}


@worker_init.connect
@worker_ready.connect
def prepare_broker(**_: object) -> None:
    """Before the start, since Celery binds the queues of all workers to its delays; after it, if RabbitMQ was away."""
    broker.prepare_queues()


# The last receiver: who waits for it, as `manage.py up` does, finds a worker that can be told to stop.
worker_ready.connect(heartbeat_file.start)
