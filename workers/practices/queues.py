"""Practice 3: what can clog a queue has its own queue and its own worker.

The trap: one worker consumes everything, and a password-reset mail waits behind two hours of video.
Only the table in config/queues.py says which task has which queue and worker.
"""

from collections.abc import Iterator

from celery import current_app
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError

from workers.capacity.process_files import FILES, read_app_formation, read_workers
from workers.models import Job
from workers.practices import Finding
from workers.queues import Queue, QueueKind, load_tasks, table
from workers.schedule import scheduled_tasks
from workers.telemetry import pauses, waits


def check() -> list[CheckMessage]:
    return [*_check_files(), *_check_tasks(), *_check_run_times(), *_check_delivery()]


def _check_files() -> Iterator[CheckMessage]:
    expected = {worker.name: ",".join(queue.name for queue in worker.queues) for worker in table().workers}
    for file in FILES:
        if (commands := read_workers(file)) is None:
            continue
        for worker in sorted(expected.keys() | {command.worker for command in commands}):
            found, queues = [each.queues for each in commands if each.worker == worker], expected.get(worker, "")
            hint = f"Write --hostname {worker}@%h --queues {queues}. Else a queue fills for ever."
            if len(found) > 1:
                fault = f"{len(found)} lines start the worker {worker}."
                hint = "Keep one, and let the platform run several of it."
            elif (reads := "".join(found)) != queues:
                fault = f"the worker {worker} reads {reads or 'no queue'}; the table says {queues or 'no worker'}."
            else:
                continue
            yield Error(f"{file}: {fault}", hint=hint, id="practices.E301")
    formation = read_app_formation()
    for worker in sorted(expected.keys() - formation.keys()) if formation is not None else ():
        hint = f"Add it: nothing consumes {expected[worker]} on a platform that runs it."
        yield Error(f"app.json: the formation has no {worker}.", hint=hint, id="practices.E301")


def _check_tasks() -> Iterator[CheckMessage]:
    tasks, routes, workers = load_tasks(), table().routes, set(table().consumers.values())
    known = tasks.keys() & routes.keys()
    named = tasks.keys() | routes.keys() | table().named_tasks | scheduled_tasks()
    for name in sorted(named - known | table().repeated_tasks):
        hint = "Name every task once, under its queue, in config/queues.py."
        yield Error(f"{name} has no queue in the table, or two, or no code.", hint=hint, id="practices.E302")
    for queue in table().queues.values():
        if not queue.tasks:
            hint = "Name its tasks in config/queues.py, each under one queue, or delete the queue."
            yield Error(f"The queue {queue.name} has no task.", hint=hint, id="practices.E308")
        present = [name for name in queue.tasks if name in known]
        for name in present:
            if (limit := tasks[name].time_limit or float("inf")) > queue.max_run_seconds:
                fault = f"{name} may run for {limit} s, and its queue says {queue.max_run_seconds} s."
                hint = "Lower time_limit in its decorator, or move it to a queue for longer tasks."
                yield Error(fault, hint=hint, id="practices.E303")
        yield from _check_folders(queue, {name: set(name.split(".")) & workers for name in present})


def _check_folders(queue: Queue, folders: dict[str, set[str]]) -> Iterator[CheckMessage]:
    """folders: of the workers whose code each task is."""
    worker = table().consumers[queue.name]
    strangers = {name: found for name, found in folders.items() if found and worker not in found}
    if strangers:
        fault = f"The queue {queue.name} is of the {worker} worker, and this code in the folder of another: "
        hint = f"Name it under a queue of {' or '.join(sorted(set().union(*strangers.values())))} in config/queues.py,"
        yield Error(fault + ", ".join(strangers), hint=f"{hint} or move it.", id="practices.E307")


def _check_run_times() -> Iterator[CheckMessage]:
    for worker in (each for each in table().workers if each.is_time_sensitive):
        urgent = [queue for queue in worker.queues if queue.kind == QueueKind.TIME_SENSITIVE]
        impatient = min(urgent, key=lambda queue: queue.target_seconds)
        for queue in worker.queues:
            if queue.max_run_seconds > impatient.target_seconds:
                fault = f"A task of {queue.name} may run for {queue.max_run_seconds} s on the {worker.name} worker,"
                fault += f" where {impatient.name} may wait for {impatient.target_seconds} s."
                hint = "Lower max_run_seconds and its tasks' limits, or move it to another worker."
                yield Error(fault, hint=hint, id="practices.E306")


def _check_delivery() -> Iterator[CheckMessage]:
    conf = current_app.conf
    is_renewed = any(step.__name__ == "VisibilityTimeoutRenewal" for step in current_app.steps["consumer"])
    longest = max(queue.max_run_seconds for queue in table().queues.values())
    timeout = conf.broker_transport_options.get("visibility_timeout")
    if timeout and timeout <= longest and not is_renewed:
        yield Error(
            f"Redis delivers a message again after {timeout} s, and tasks run for up to {longest} s.",
            hint="Add workers.runtime.visibility_timeout.VisibilityTimeoutRenewal to the app's steps, "
            "or raise visibility_timeout.",
            id="practices.E304",
        )
    if (multiplier := conf.worker_prefetch_multiplier) != 1 or not conf.task_acks_late:
        fault = f"A worker takes more messages than it works on: multiplier {multiplier}, late {conf.task_acks_late}."
        hint = "Set worker_prefetch_multiplier=1 and task_acks_late=True: a short job would wait behind a long one."
        yield Error(fault, hint=hint, id="practices.E305")


def verify() -> Finding:
    """ok while the oldest job now and the p95 of the last ten minutes keep the target of each time-sensitive queue."""
    sensitive = {queue.name: queue for queue in table().queues.values() if queue.kind == QueueKind.TIME_SENSITIVE}
    try:
        paused = {name: pause for name, pause in pauses.paused_queues().items() if name in sensitive}
        p95, watched = waits.p95_waits(sensitive), [queue for name, queue in sensitive.items() if name not in paused]
        faults, longest = list(waits.wait_faults(watched, p95)), waits.longest_wait(watched, p95)
        others = Job.objects.filter(state=Job.State.QUEUED).exclude(queue__in=sensitive).count()
    except DatabaseError as error:
        return Finding(None, "unknown", f"The database did not answer: {error}")
    summary = ", ".join(waits.describe_p95(name, p95) for name in sensitive) or "no queue is time-sensitive"
    summary = pauses.with_pauses(f"{summary}, {others} queued elsewhere", paused.values())
    return Finding(not faults, summary, " ".join(faults), longest)
