"""Practice 3: who waits behind whom, queues that nobody consumes, and messages that a killed process loses."""

import math
from collections.abc import Iterator

from workers.audit.commands import WorkerCommand
from workers.audit.messages import Message, listed, unknown
from workers.audit.project import AMQP, NO_CHILDREN, REDIS, Project
from workers.audit.routes import declared_queues
from workers.queues import QueueKind

LONG_SECONDS = 60  # from here on, a task that waits behind another one is late
MUCH_LONGER = 10
URGENT = QueueKind.TIME_SENSITIVE
DEFAULT_VISIBILITY_TIMEOUT = 3600  # kombu's, on Redis
DEFAULT_CONSUMER_TIMEOUT = 1800  # RabbitMQ's


def find(project: Project) -> Iterator[Message]:
    yield from _consumers(project)
    yield from _routes(project)
    for queue, tasks in sorted(project.queues.items()):
        yield from _mixed(project, tasks, "AUD301", f"In the queue {queue}")
    for command in project.commands:
        queues = project.queues_of(command) or ()
        if len(queues) > 1:
            tasks = set().union(*(project.queues.get(queue, set()) for queue in queues))
            where = f"On the worker {command.name}, which consumes {', '.join(queues)}"
            yield from _mixed(project, tasks, "practices.E306", where)
    yield from _acknowledgement(project)
    yield from _redelivery(project)
    yield from _consumer_timeout(project)
    yield from _prefetch(project)


def _consumers(project: Project) -> Iterator[Message]:
    if not project.commands:
        fault = f"No file starts a worker here, so nobody can tell who consumes {listed(set(project.queues))}."
        yield unknown("practices.E301", fault, "Give --root the folder of the process files.")
    for deployment in sorted({command.deployment for command in project.commands}):
        commands = [command for command in project.commands if command.deployment == deployment]
        known = [project.queues_of(command) for command in commands]
        consumed = {name for names in known for name in names or ()}
        if missing := project.queues.keys() - consumed:
            fault = f"{deployment}: no worker consumes {listed(set(missing))}"
            if None in known:
                fault += " by its command, but a variable names the queues of one."
                yield unknown("practices.E301", fault, "Look what it is set to.")
            else:
                hint = "Write it into the -Q of a worker, or its messages pile up."
                yield Message("practices.E301", f"{fault}.", hint)


def _routes(project: Project) -> Iterator[Message]:
    conf = project.app.conf
    for name in sorted({entry["task"] for entry in project.entries.values()} - project.app.tasks.keys()):
        hint = "Import its module in the app, or mend the name: the worker drops the message."
        yield Message("practices.E302", f"The schedule sends {name}, and no code has that name.", hint)
    if conf.task_queues and not conf.task_create_missing_queues:
        for queue in sorted(project.queues.keys() - declared_queues(project.app).keys()):
            fault = f"{listed(project.queues[queue])} goes to {queue}, which task_queues does not have."
            yield Message("practices.E302", fault, "Declare the queue, or its publish raises QueueNotFound.")
    if len(project.queues) > 1 and conf.task_create_missing_queues:
        fault = "A publish to a mistyped queue makes that queue, and nobody consumes it."
        hint = "List the queues in task_queues, and set task_create_missing_queues = False: then the publish raises."
        yield Message("AUD304", fault, hint)
    if project.unrouted:
        fault = f"Each message decides the queue of {listed(project.unrouted)}: a function, or an exchange, routes it."
        yield unknown("practices.E302", fault, "Look whether a worker consumes each of its queues.")


def _mixed(project: Project, tasks: set[str], rule: str, where: str) -> Iterator[Message]:
    """A task that may run long, and others that are much shorter or come again sooner."""
    tasks = tasks & project.tasks.keys()  # _routes() names what the schedule sends and no code has
    runs = {task: seconds for task in tasks if (seconds := project.longest_run(task))}
    if not runs:
        if len(tasks) > 1 and rule == "AUD301":
            fault = f"{where}, {len(tasks)} tasks share workers, and no time limit tells which of them is long."
            yield unknown(rule, fault, "Set time limits first (practice 7).")
        return
    limit = max(runs.values())
    gaps = {task: gap for task in tasks if (gap := project.gap_of(task))}
    short = {task for task, seconds in runs.items() if seconds * MUCH_LONGER <= limit}
    short |= {task for task, gap in gaps.items() if gap <= limit}
    if project.table:  # which says for whom people wait, and how long
        targets = {
            task: queue.target_seconds
            for queue in project.table.queues.values()
            if queue.kind == URGENT
            for task in queue.tasks
        }
        short = {task for task in tasks if targets.get(task, limit) < limit}
    longest = min((task for task in runs if runs[task] == limit), key=lambda task: (task in short, task))
    short -= {longest}
    if limit >= LONG_SECONDS and short:
        yield Message(
            rule,
            f"{where}, {listed(short)} {'wait' if len(short) > 1 else 'waits'} behind {longest}, which may run for "
            f"{limit:,.0f} s.",
            "Give what is long a queue and a worker of its own.",
        )


def _acknowledgement(project: Project) -> Iterator[Message]:
    """Where the app acknowledges late, a task that says acks_late=False has decided."""
    early = {name for name, task in project.tasks.items() if not task.acks_late}
    if early and not project.app.conf.task_acks_late:
        fault = f"{len(early)} of {len(project.tasks)} tasks are acknowledged before they run: {listed(early)}. "
        hint = "Set task_acks_late and task_reject_on_worker_lost, and acks_late=False for what must not run twice."
        yield Message("AUD302", f"{fault}A killed process loses its task.", hint)
    pools = {command.option("pool") or project.app.conf.worker_pool for command in project.commands}
    if pools and pools <= set(NO_CHILDREN):
        return  # the task dies with its worker, whose messages come back
    kept = {name for name, task in project.tasks.items() if task.acks_late and not task.reject_on_worker_lost}
    if kept:
        fault = f"{listed(kept)}: late acknowledgement alone. Celery acknowledges the message of a killed process too."
        yield Message("AUD303", fault, "Set task_reject_on_worker_lost = True: then its message comes back.")


def _consumer_timeout(project: Project) -> Iterator[Message]:
    """RabbitMQ's file, or a policy, may have raised it."""
    if project.transport not in AMQP:
        return
    declared = declared_queues(project.app)
    for name, tasks in sorted(project.queues.items()):
        arguments = getattr(declared.get(name), "queue_arguments", None) or {}
        timeout = arguments.get("x-consumer-timeout", DEFAULT_CONSUMER_TIMEOUT * 1000) / 1000
        late = {task for task in tasks & project.tasks.keys() if project.tasks[task].acks_late}
        longer = {task for task in late if (project.longest_run(task) or math.inf) >= timeout}
        if longer:
            fault = f"RabbitMQ closes the channel of a message that is unacknowledged for {timeout:,.0f} s, if nobody "
            fault += f"has raised its consumer_timeout, and {listed(longer)} may run for as long."
            yield unknown("practices.E304", fault, "Raise it above the time limit of each task.")


def _redelivery(project: Project) -> Iterator[Message]:
    options = project.app.conf.broker_transport_options or {}
    timeout = options.get("visibility_timeout", DEFAULT_VISIBILITY_TIMEOUT)
    is_renewed = any(step.__name__ == "VisibilityTimeoutRenewal" for step in project.app.steps["consumer"])
    if project.transport not in REDIS or is_renewed:
        return
    late = {name for name, task in project.tasks.items() if task.acks_late}
    longer = {name for name in late if (project.longest_run(name) or 0) >= timeout}
    if longer:
        fault = f"Redis delivers a message again after {timeout:,} s, and {listed(longer)} may run for as long."
        yield Message("practices.E304", fault, "Raise visibility_timeout above every time limit.")
    if endless := {name for name in late if project.longest_run(name) is None}:
        fault = f"Redis delivers a message again after {timeout:,} s, and no limit ends {listed(endless)}."
        yield unknown("practices.E304", fault, "Set a time limit below visibility_timeout.")


def _prefetch(project: Project) -> Iterator[Message]:
    default = project.app.conf.worker_prefetch_multiplier
    groups = [(command.name, _multiplier(command, default), _tasks(project, command)) for command in project.commands]
    for name, multiplier, tasks in groups or [("", default, set(project.tasks))]:
        if multiplier == 1:  # then a message waits only behind a task that was acknowledged before it ran
            tasks = {task for task in tasks if not project.tasks[task].acks_late}
        runs = {task: project.longest_run(task) for task in tasks}
        long = {task for task, seconds in runs.items() if (seconds or 0) >= LONG_SECONDS}
        taken = "one message more than" if multiplier == 1 else f"{multiplier:.0f} messages for each that"
        fault = f"The worker {name} takes" if name else "A worker takes"
        fault = f"{fault} {taken} it works on, and"
        hint = "Set worker_prefetch_multiplier = 1, task_acks_late = True: else a message waits in a busy worker."
        if long:
            yield Message("practices.E305", f"{fault} {listed(long)} may be long.", hint)
        elif None in runs.values():
            yield unknown(
                "practices.E305", f"{fault} no time limit tells whether one is long.", f"Set time limits. {hint}"
            )


def _multiplier(command: WorkerCommand, default: float) -> float:
    given = command.number("prefetch")
    multiplier = default if given is None else given
    return multiplier or math.inf  # Celery takes 0 for no limit


def _tasks(project: Project, command: WorkerCommand) -> set[str]:
    queues = project.queues_of(command)
    named = project.queues if queues is None else queues
    return set().union(*(project.queues.get(queue, set()) for queue in named)) & project.tasks.keys()
