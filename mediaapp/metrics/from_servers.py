"""Metrics of the broker and of the server of the locks, which knows the workers and the leading beat."""

from collections import Counter
from collections.abc import Iterator

from django.conf import settings
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric

from workers.brokers.state import read_broker_state, read_queue_states
from workers.queues import table
from workers.telemetry.held_locks import BEAT, held_locks
from workers.telemetry.liveness import read_loads, read_workers

ALARMS = ("disk", "memory")


def measure_release() -> Iterator[Metric]:
    """Of this web process."""
    yield InfoMetricFamily("mediaapp_release", "The release that answers.", {"release": settings.RELEASE})


def measure_broker() -> Iterator[Metric]:
    """First what RabbitMQ tells without its management API. Raises BrokerUnavailableError."""
    ready = GaugeMetricFamily("mediaapp_queue_messages_ready", "Messages that wait for a worker.", labels=["queue"])
    unacked = GaugeMetricFamily(
        "mediaapp_queue_messages_unacked", "Messages that a worker took and has not finished.", labels=["queue"]
    )
    consumers = GaugeMetricFamily("mediaapp_queue_consumers", "Workers that consume the queue.", labels=["queue"])
    for name, state in read_queue_states().items():
        for family, value in ((ready, state["ready"]), (unacked, state["unacked"]), (consumers, state["consumers"])):
            if value is not None:
                family.add_metric([name], value)
    yield from (ready, unacked, consumers)
    broker = read_broker_state()
    memory = GaugeMetricFamily("mediaapp_broker_memory_bytes", "Memory that the broker uses.")
    limit = GaugeMetricFamily("mediaapp_broker_memory_limit_bytes", "Where the broker stops to accept messages.")
    for family, value in ((memory, broker["memory_bytes"]), (limit, broker["memory_limit_bytes"])):
        if value is not None:
            family.add_metric([], value)
    alarm = GaugeMetricFamily(
        "mediaapp_broker_alarm", "1 while RabbitMQ has raised its alarm and takes no messages.", labels=["resource"]
    )
    for resource in ALARMS:
        alarm.add_metric([resource], resource in broker["alarms"])
    yield from (memory, limit, alarm)


def measure_locks() -> Iterator[Metric]:
    """Raises RedisError."""
    locks = held_locks()
    yield GaugeMetricFamily("mediaapp_locks_held", "Locks that somebody holds, beat's included.", len(locks))
    leads = any(lock.name == BEAT for lock in locks)
    yield GaugeMetricFamily("mediaapp_beat_leads", "1 while a beat leads and sends recurring tasks.", leads)
    yield from _measure_workers()


def _measure_workers() -> Iterator[Metric]:
    """Sums of the living ones, by the line of the Procfile."""
    sums = {
        "alive": GaugeMetricFamily("mediaapp_workers_alive", "Workers that give a sign of life.", labels=["worker"]),
        "processes": GaugeMetricFamily("mediaapp_workers_processes", "Processes of their pools.", labels=["worker"]),
        "busy": GaugeMetricFamily("mediaapp_workers_busy", "Processes that run a task.", labels=["worker"]),
        "bytes": GaugeMetricFamily(
            "mediaapp_workers_memory_bytes",
            "Resident memory of the workers and all that they started; shared pages count in each process.",
            labels=["worker"],
        ),
    }
    found: dict[str, Counter[str]] = {worker.name: Counter() for worker in table().workers}
    living = [worker for worker in read_workers() if not worker.is_silent and worker.kind in found]
    for worker, load in zip(living, read_loads(living), strict=True):
        found[worker.kind]["alive"] += 1
        if load:
            found[worker.kind].update({"processes": load.processes, "busy": load.busy, "bytes": load.rss_bytes})
    for name, counts in found.items():
        for which, family in sums.items():
            family.add_metric([name], counts[which])
    yield from sums.values()
