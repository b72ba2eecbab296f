"""Practice 7: tasks that nothing ends, and run times that nobody records."""

from collections.abc import Iterator
from weakref import ref

from celery import signals

from workers.audit.messages import Message, listed, unknown
from workers.audit.project import Project

ENDS = (signals.task_postrun, signals.task_success)
LIBRARIES = ("celery.", "django.", "kombu.")  # whose receivers close connections, and record nothing
MEASURING = ("ddtrace-run", "newrelic-admin", "opentelemetry-instrument", "-E", "--task-events")


def find(project: Project) -> Iterator[Message]:
    yield from _limits(project)
    if not _is_recorded(project):
        fault = "Nothing is seen that records how long runs take, but the lines `succeeded in` of Celery's log."
        hint = "Connect a receiver to task_postrun that stores name, seconds and outcome, or use a tracer."
        yield unknown("AUD701", fault, hint)


def _limits(project: Project) -> Iterator[Message]:
    limits = {
        name: (project.limit_of(name, "hard_limit"), project.limit_of(name, "soft_limit")) for name in project.tasks
    }
    if endless := {name for name, (hard, _) in limits.items() if not hard}:
        yield Message(
            "practices.E701",
            f"{len(endless)} of {len(limits)} tasks have no hard time limit: {listed(endless)}.",
            "Set task_time_limit for all, and time_limit in the decorator of what may take longer.",
        )
    for name, (hard, soft) in limits.items():
        if hard and soft and soft >= hard:
            fault = f"The soft limit of {name} ({soft:,.0f} s) is not below its hard one ({hard:,.0f} s)."
            yield Message("practices.E703", fault, "Lower the soft limit: the hard one's clock starts after it.")


def _is_recorded(project: Project) -> bool:
    references = [reference for signal in ENDS for _, reference in signal.receivers or ()]
    receivers = [each() if isinstance(each, ref) else each for each in references]
    modules = [f"{getattr(receiver, '__module__', '')}." for receiver in receivers if receiver]
    return (
        any(not module.startswith(LIBRARIES) for module in modules)
        or bool(project.app.conf.worker_send_task_events)
        or any(word in MEASURING for command in project.commands for word in command.words)
    )
