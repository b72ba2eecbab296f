"""Recurring tasks: sent twice, for ever, never, or faster than anybody works on them."""

import itertools
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from celery import Celery, current_app
from celery.beat import Scheduler
from celery.schedules import crontab
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from devtools.processes import killed_at_end
from labs.faults.brokers import VALKEY
from labs.faults.experiment import Experiment, Seen
from labs.faults.project import PLAIN, Project, comes_true
from workers.practices import recurring
from workers.schedule import daily, every

TASK = "workers.default.tasks.sweep_jobs"
NAME = "the lab's entry"


class BeatFault(Experiment):
    brokers = (VALKEY,)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        PeriodicTask.objects.all().delete()


class ExpireSecondsDropped(BeatFault):
    """`options={"expires": 30}` of an entry in `beat_schedule` has no effect with django-celery-beat. Runs pile up
    while a worker is away, although the code says that they expire."""

    id = "expire-seconds-dropped"
    fix, how = "workers/schedule.py", "`every()` and `daily()` write `expire_seconds` too"
    reads = "its row in the database expires {expires}"

    def without(self) -> Seen:
        return self.write({"task": TASK, "schedule": timedelta(minutes=1), "options": {"expires": 55}})

    def with_fix(self) -> Seen:
        return self.write(every(timedelta(minutes=1), TASK))

    def write(self, entry: dict[str, Any]) -> Seen:
        seconds = ModelEntry.from_entry(NAME, app=current_app, **entry).model.expire_seconds
        return {"expires": f"after {seconds} s" if seconds else "never"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["expires"] == "never")


class CrontabCatchUp(BeatFault):
    """Beat was away when a nightly task was due. Later it does not run the task: django-celery-beat does not even load
    a crontab whose one hour is more than two hours away."""

    id = "crontab-catch-up"
    fix, how = "workers/schedule.py", "`daily()` writes the hour twice, `3,3`, which is loaded at any time"
    reads = "7 hours after a missed run, beat {state}"

    def without(self) -> Seen:
        return self.load({"task": TASK, "schedule": crontab(hour=str(self.hour()), minute="0")})

    def with_fix(self) -> Seen:
        return self.load(daily(f"{self.hour():02}:00", TASK))

    def hour(self) -> int:
        """Seven hours ago, but not four o'clock, which is always loaded."""
        hour = (timezone.now().hour - 7) % 24
        return 5 if hour == 4 else hour

    def load(self, entry: dict[str, Any]) -> Seen:
        model = ModelEntry.from_entry(NAME, app=current_app, **entry).model
        PeriodicTask.objects.filter(pk=model.pk).update(last_run_at=timezone.now() - timedelta(hours=31))
        loaded = DatabaseScheduler(app=current_app, lazy=True).all_as_schedule()
        is_due = NAME in loaded and loaded[NAME].is_due().is_due
        return {"state": "runs it" if is_due else "does not know it"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] != "runs it")


class RemovedEntry(BeatFault):
    """An entry is deleted from the code. Its row in the database stays enabled, and beat sends it for ever, to a task
    that no longer exists."""

    id = "removed-entries"
    fix, how = "workers/practices/recurring.py", "the leading beat disables what its code no longer has"
    reads = "after the entry was removed from the code, its row is {state}"

    def without(self) -> Seen:
        return self.remove(lambda: None)

    def with_fix(self) -> Seen:
        return self.remove(recurring.enable_entries)

    def remove(self, start_anew: Any) -> Seen:
        scheduler = DatabaseScheduler(app=current_app, lazy=True)
        scheduler.update_from_dict({NAME: every(timedelta(minutes=1), TASK)})
        start_anew()
        scheduler.update_from_dict({})
        return {"state": "enabled" if PeriodicTask.objects.get(name=NAME).enabled else "disabled"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["state"] == "enabled")


class BackendCleanup(BeatFault):
    """At four in the morning beat sends a task that nobody wrote, `celery.backend_cleanup`, also where there are no
    results to clean up."""

    id = "backend-cleanup"
    fix, how = "config/celery.py", "`result_expires=None`"
    reads = "beat sends {tasks} task of its own"

    def without(self) -> Seen:
        return self.install()

    def with_fix(self) -> Seen:
        return self.install(result_expires=current_app.conf.result_expires)

    def install(self, **options: Any) -> Seen:
        app = Celery("plain", broker="memory://", set_as_current=False)
        app.conf.update(options)
        scheduler = Scheduler(app, lazy=True)
        scheduler.install_default_entries({})
        return {"tasks": len(scheduler.schedule) or "no"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["tasks"] != "no")


class DaylightSaving(BeatFault):
    """In the night in which the clocks go back, a task of every half hour does not run for an hour and a half. The time
    zone of beat is a local one."""

    id = "daylight-saving-time"
    fix, how = "config/celery.py", '`timezone="UTC"`'
    reads = "a task of every 30 minutes pauses for {minutes} minutes"

    def without(self) -> Seen:
        return self.longest_pause("Europe/Berlin")

    def with_fix(self) -> Seen:
        return self.longest_pause(current_app.conf.timezone)

    def longest_pause(self, zone: str) -> Seen:
        """Beat's question at each minute of the night of 25 October 2026."""
        app, start = (
            Celery("night", set_as_current=False, changes={"timezone": zone}),
            datetime(2026, 10, 24, 22, tzinfo=UTC),
        )
        now = start.astimezone(ZoneInfo(zone))
        schedule = crontab(minute="*/30", app=app, nowfun=lambda: now)
        runs = [now]
        for minute in range(1, 6 * 60):
            now = (start + timedelta(minutes=minute)).astimezone(ZoneInfo(zone))
            if schedule.is_due(runs[-1]).is_due:
                runs.append(now)
        pauses = [after.timestamp() - before.timestamp() for before, after in itertools.pairwise(runs)]
        return {"minutes": round(max(pauses) / 60)}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["minutes"] > 30)


class TwoBeats(BeatFault):
    """A platform starts the new beat before the old one has stopped, or somebody scales beat to two. Each recurring
    task is sent twice."""

    id = "two-beats"
    fix, how = "workers/runtime/leader.py", "one beat leads by a lock, and the others wait"
    reads = "two beats send a task of every second {sent} times in 8 s"
    is_site = True

    def measure(self, project: Project) -> Seen:
        project.options["beat_schedule"] = schedule(project)
        project.start_worker()
        with beats(project, 2):
            project.wait_for("begun")
            time.sleep(4)  # until the second one is up
            before = project.count("begun")
            time.sleep(8)
            return {"sent": project.count("begun") - before}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["sent"] > 11)


class ExpiredAtTheHead(BeatFault):
    """No worker runs for a night. Recurring messages expire, but on Redis they stay in the queue until a worker takes
    them, and on RabbitMQ they stay behind one that lives longer."""

    id = "expired-at-the-head"
    page = "servers.md"
    fix, how = "workers/runtime/pending_guard.py", "beat sends no entry whose last message still waits"
    reads = "a task of every second leaves {waiting} in 8 s without a worker"
    is_site = True

    def measure(self, project: Project) -> Seen:
        project.options["beat_schedule"] = schedule(project)
        with beats(project, 1):
            comes_true(project.ready, 20)
            time.sleep(8)
            count = project.ready()
        return {"waiting": "1 message" if count == 1 else f"{count} messages"}

    def happened(self, seen: Seen) -> bool:
        return bool(seen["waiting"] != "1 message")


def schedule(project: Project) -> dict[str, Any]:
    return {NAME: {"task": "work", "schedule": 1.0, "options": {"expires": 0.9, "queue": project.queue}}}


def beats(project: Project, count: int) -> ExitStack:
    """Beats of the arm's app, which run until the block ends."""
    with ExitStack() as stack:
        for number in range(count):
            own = ["--schedule", str(project.folder / f"schedule{number}")] if project.module == PLAIN else []
            command = [sys.executable, "-m", "celery", "--quiet", "--app", project.module, "beat", "--pidfile=", *own]
            log = project.folder / f"beat{number}.log"
            stack.enter_context(killed_at_end(command, log, environment=project.environment()))
        return stack.pop_all()


FAULTS: list[type[Experiment]] = [
    ExpireSecondsDropped,
    CrontabCatchUp,
    RemovedEntry,
    BackendCleanup,
    DaylightSaving,
    TwoBeats,
    ExpiredAtTheHead,
]
