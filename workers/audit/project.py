"""What the audit knows of a project: its app, the commands of its workers, and its table, if it has one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from celery import Celery, Task

from workers.audit.commands import WorkerCommand
from workers.audit.routes import consumed_by_default, queue_of
from workers.queues import Table
from workers.schedule import gap_seconds

REDIS = ("redis", "rediss", "sentinel", "valkey", "valkeys")
AMQP = ("amqp", "amqps", "pyamqp")
NO_CHILDREN = ("solo", "threads", "gevent", "eventlet")  # pools without processes


@dataclass(frozen=True)
class Project:
    """caches: Django's setting. table: that of workers/queues.py, None in a project that has none."""

    app: Celery
    commands: tuple[WorkerCommand, ...] = ()
    caches: Mapping[str, Any] = field(default_factory=dict)
    table: Table | None = None

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """Without those of Celery itself."""
        return {name: task for name, task in sorted(self.app.tasks.items()) if not name.startswith("celery.")}

    @cached_property
    def entries(self) -> dict[str, dict[str, Any]]:
        return {name: _as_dict(entry) for name, entry in (self.app.conf.beat_schedule or {}).items()}

    @property
    def broker_url(self) -> str:
        return str(self.app.conf.broker_write_url or self.app.conf.broker_url or "amqp://")

    @property
    def transport(self) -> str:
        return self.broker_url.partition("://")[0].partition("+")[0]

    @cached_property
    def queues(self) -> dict[str, set[str]]:
        """The tasks of each queue. Without tasks whose queue depends on the message."""
        found: dict[str, set[str]] = {}
        for name in self.tasks:
            if queue := queue_of(self.app, name):
                found.setdefault(queue, set()).add(name)
        for entry in self.entries.values():
            if queue := queue_of(self.app, entry["task"], entry.get("options") or {}):
                found.setdefault(queue, set()).add(entry["task"])
        return found

    @cached_property
    def unrouted(self) -> list[str]:
        """Tasks whose queue depends on the message."""
        return [name for name in self.tasks if queue_of(self.app, name) is None]

    def queues_of(self, command: WorkerCommand) -> tuple[str, ...] | None:
        """None if a variable decides."""
        return command.queues(consumed_by_default(self.app))

    def longest_run(self, task: str) -> float | None:
        """Seconds after which its limit ends it: the hard one, else the soft one. None if it has neither."""
        for limit in ("hard_limit", "soft_limit"):
            if seconds := self.limit_of(task, limit):
                return seconds
        return None

    def limit_of(self, task: str, limit: str) -> float | None:
        """limit: hard_limit or soft_limit. The task's own, the app's, or that of every worker which may run it."""
        attribute = {"hard_limit": "time_limit", "soft_limit": "soft_time_limit"}[limit]
        if own := getattr(self.tasks.get(task), attribute, None):
            return float(own)
        queues = {queue for queue, tasks in self.queues.items() if task in tasks}
        consumers = [each for each in self.commands if queues & set(self.queues_of(each) or queues)]
        limits = [each.number(limit) for each in consumers]
        return max((each for each in limits if each), default=None) if all(limits) else None

    def gap_of(self, task: str) -> float | None:
        """Seconds between the nearest runs that the schedule sends. None for what it does not send."""
        gaps = (gap_seconds(entry["schedule"]) for entry in self.entries.values() if entry["task"] == task)
        return min((gap for gap in gaps if gap), default=None)


def _as_dict(entry: Any) -> dict[str, Any]:
    """Celery takes an object of ScheduleEntry too."""
    if isinstance(entry, Mapping):
        return {"task": "", "schedule": None, **entry}
    return {"task": entry.task, "schedule": entry.schedule, "options": entry.options}


def seconds_of(value: Any) -> float | None:
    """Of an expiry: a number, a timedelta, or None for a date."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return float(value) if isinstance(value, int | float) else None
