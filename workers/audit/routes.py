"""Which queue a task's message goes to, by the rules of Celery's own router."""

import dis
from collections.abc import Mapping
from inspect import CO_VARARGS, CO_VARKEYWORDS
from types import CodeType
from typing import Any

from celery import Celery
from celery.app.routes import MapRoute, Router, prepare
from celery.utils.functional import maybe_evaluate
from kombu import Queue

STARRED = (CO_VARARGS, CO_VARKEYWORDS)


def queue_of(app: Celery, task: str, options: Mapping[str, Any] = {}) -> str | None:
    """options: of the schedule's entry. None if the arguments of each message decide, or an exchange does."""
    if given := options.get("queue") or getattr(app.tasks.get(task), "queue", None):
        return _name(given)
    for prepared in prepare(app.conf.task_routes):
        try:
            router = maybe_evaluate(prepared)
            if not isinstance(router, MapRoute) and _reads_the_message(router):
                return None
            route = _ask(router, task, app)
        except Exception:  # a router's own code: it may need what only a running site has
            return None
        if isinstance(route, str):
            return route
        if route is not None:
            if queue := route.get("queue"):
                return _name(queue)
            return None if {"exchange", "routing_key"} & route.keys() else str(app.conf.task_default_queue)
    return str(app.conf.task_default_queue)


def _ask(router: Any, task: str, app: Celery) -> Any:
    return Router(app=app).query_router(router, task, (), {}, {}, app.tasks.get(task))  # type: ignore[arg-type]


def consumed_by_default(app: Celery) -> tuple[str, ...]:
    """The queues of a worker without -Q."""
    return tuple(declared_queues(app)) or (str(app.conf.task_default_queue),)


def declared_queues(app: Celery) -> dict[str, Queue | None]:
    """task_queues by name: a list of kombu's queues, or a dictionary of options. None for the options."""
    given = app.conf.task_queues or {}
    if isinstance(given, Mapping):
        return {name: queue if isinstance(queue, Queue) else None for name, queue in given.items()}
    return {queue.name: queue for queue in given}


def _name(queue: Any) -> str:
    return str(getattr(queue, "name", queue))


def _reads_the_message(router: Any) -> bool:
    """Whether a function looks at more than the task's name: then no one queue is the task's."""
    function = getattr(router, "route_for_task", router)
    code: CodeType | None = getattr(function, "__code__", None)
    if code is None:
        return True
    parameters = code.co_varnames[
        : code.co_argcount + code.co_kwonlyargcount + sum(bool(code.co_flags & each) for each in STARRED)
    ]
    beside_name = set(parameters[2 if hasattr(function, "__self__") else 1 :])
    read = {each.argval for each in dis.get_instructions(code) if each.opname.startswith(("LOAD_FAST", "LOAD_DEREF"))}
    return bool(beside_name & read)
