"""Practice 3: what can clog a queue has its own queue and its own worker.

The trap: one worker reads everything, and a password-reset mail waits behind two hours of video. Here every task has
one queue, every queue one worker, and a worker is a folder, a Procfile line and a service by the same word. This
table is the only place that says which; routes, declarations, pages and checks read it.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from celery import current_app
from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError, connection
from django.utils import timezone

from workers.practices import Finding
from workers.queues import table

SHORT = 30  # seconds that a task on the default worker may run at most
CHAPTER = "See docs/3-separate-queues.md."
WAIT = """
    SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY wait_seconds) FROM workers_taskrun
    WHERE ended_at > now() - interval '1 hour' AND queue = 'urgent'"""


def read_queues(text: str) -> Iterator[tuple[str, list[str]]]:
    """(worker, queues) for each worker command in a Procfile, an app.json or a compose file."""
    for command in re.findall(r"celery .*worker .*", text):
        hostname = re.search(r"--hostname[ =](\w+)", command)
        queues = re.search(r"--queues[ =]([\w,]+)", command)
        yield hostname.group(1) if hostname else "", queues.group(1).split(",") if queues else []


def check() -> list[CheckMessage]:
    """E301: a process file disagrees with the table. E302: a task without a queue, or a queue's task without code.

    E303: a task may run longer than its queue says, or the default worker has a queue for long ones. E304: a running
    task's message would be given to another worker. E305: a worker takes more messages than it works on.
    """
    return [*_check_files(), *_check_tasks(), *_check_delivery()]


def _check_files() -> Iterator[CheckMessage]:
    wanted = {worker.name: [queue.name for queue in worker.queues] for worker in table().workers}
    for name in ("Procfile", "docker-compose.yml"):
        path = Path(settings.BASE_DIR) / name
        lines = list(read_queues(path.read_text())) if path.exists() else list(wanted.items())
        found = dict(lines)
        for worker, count in Counter(worker for worker, _ in lines).items():
            if count > 1:
                yield Error(
                    f"{name}: {count} lines start the worker {worker}.",
                    hint=f"Keep one, and let the platform run several of it. {CHAPTER}",
                    id="practices.E301",
                )
        for worker in sorted(wanted.keys() | found.keys()):
            reads, queues = ",".join(found.get(worker, [])), ",".join(wanted.get(worker, []))
            if reads != queues:
                yield Error(
                    f"{name}: the worker {worker} reads {reads or 'no queue'}; the table says {queues or 'no worker'}.",
                    hint=f"Write --hostname {worker}@%h --queues {queues}. Else a queue fills for ever. {CHAPTER}",
                    id="practices.E301",
                )
    manifest = Path(settings.BASE_DIR) / "app.json"
    formation = json.loads(manifest.read_text())["formation"] if manifest.exists() else wanted
    for worker in sorted(wanted.keys() - formation.keys()):
        yield Error(
            f"app.json: the formation has no {worker}.",
            hint=f"Add it: nobody reads {','.join(wanted[worker])} on a platform that runs it. {CHAPTER}",
            id="practices.E301",
        )


def _check_tasks() -> Iterator[CheckMessage]:
    for module in table().task_modules:
        import_module(module)
    ours = {name: task for name, task in current_app.tasks.items() if name.startswith("workers.")}
    for name in sorted(ours.keys() ^ table().routes.keys()):
        yield Error(
            f"{name} is in the table or in the code, but not in both.",
            hint=f"Name every task once, under its queue, in config/queues.py. {CHAPTER}",
            id="practices.E302",
        )
    for name in sorted(ours.keys() & table().routes.keys()):
        longest, limit = table().queues[table().queue_of(name)].max_run_seconds, ours[name].time_limit or float("inf")
        if limit > longest:
            yield Error(
                f"{name} may run for {limit} s, and its queue says {longest} s.",
                hint=f"Lower time_limit in its decorator, or move it to a queue for longer tasks. {CHAPTER}",
                id="practices.E303",
            )
    impatient = [worker for worker in table().workers if worker.is_time_sensitive]
    for worker, queue in ((each, queue) for each in impatient for queue in each.queues):
        if queue.max_run_seconds > SHORT:
            yield Error(
                f"The queue {queue.name} of the {worker.name} worker has tasks of up to {queue.max_run_seconds} s.",
                hint=f"At most {SHORT} s there: what people wait for would wait behind them. {CHAPTER}",
                id="practices.E303",
            )


def _check_delivery() -> Iterator[CheckMessage]:
    conf = current_app.conf
    renewed = any(step.__name__ == "Renewal" for step in current_app.steps["consumer"])
    longest = max(queue.max_run_seconds for queue in table().queues.values())
    timeout = conf.broker_transport_options.get("visibility_timeout")
    if timeout and timeout <= longest and not renewed:
        yield Error(
            f"Redis delivers a message again after {timeout} s, and tasks run for up to {longest} s.",
            hint=f"Add workers.runtime.delivery.Renewal to the app's steps, or raise visibility_timeout. {CHAPTER}",
            id="practices.E304",
        )
    if conf.worker_prefetch_multiplier != 1:
        yield Error(
            f"A worker takes {conf.worker_prefetch_multiplier} messages for each that it works on.",
            hint=f"Set worker_prefetch_multiplier=1: a short job would wait behind the long one before it. {CHAPTER}",
            id="practices.E305",
        )


def verify() -> Finding:
    """Holds while urgent waits less than its target: the p95 of the last hour's runs, and the oldest that waits now."""
    # By name: the Celery app imports this table before Django's models are there.
    queued = apps.get_model("workers.Job").objects.filter(state="queued")
    target = table().queues["urgent"].target_seconds
    try:
        oldest = queued.filter(queue="urgent").order_by("queued_at").values_list("queued_at").first()
        behind = queued.exclude(queue="urgent").count()
        with connection.cursor() as cursor:
            cursor.execute(WAIT)
            p95 = cursor.fetchone()[0] or 0.0
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    waits = (timezone.now() - oldest[0]).total_seconds() if oldest else 0.0
    figure = f"urgent waited {p95:.1f} s (p95 of an hour), {behind} others queued"
    if waits > target:
        return Finding(False, figure, f"An urgent job waits for {waits:.0f} s of {target} s. Is the default worker up?")
    if p95 > target:
        return Finding(False, figure, f"Of the last hour's urgent runs, one in twenty waited more than {target} s.")
    return Finding(True, figure)
