"""What the source of a task does, and that of the project's functions that it calls."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from types import FunctionType
from typing import Any

from celery import Task

from workers.task_source import called_names, held_contexts

# Words of names by which a lock, or work that cannot overlap, shows: of a context manager, a call or the task's class.
LOCK_WORDS = re.compile(
    r"(?<![bc])lock|exclusive|mutex|semaphore|singleton|once|working_on|acquire|select_for_update", re.I
)
MAX_FUNCTIONS = 60  # of a task's calls that are read


def names_of(task: Task) -> set[str]:
    """Of all that the task's functions call and enter. Raises OSError where there is no source."""
    return set().union(*(_names(function) for function in functions_of(task)))


def takes_lock(task: Task) -> bool:
    """Whether a name looks like a lock's, or the task's class does. Raises OSError where there is no source."""
    classes = [each.__name__ for each in type(task).__mro__]
    return any(LOCK_WORDS.search(name) for name in classes + sorted(names_of(task))) or _adds_to_a_cache(task)


def endless_locks(task: Task) -> list[str]:
    """Calls such as cache.lock("a") that give no timeout. Raises OSError where there is no source."""
    return [ast.unparse(call) for call in _calls(task) if _is_lock_of_a_server(call) and not _has_timeout(call)]


def unowned_releases(task: Task) -> list[str]:
    """cache.delete(key) where the task has cache.add(key). Raises OSError where there is no source."""
    calls = [(ast.unparse(call.func), ast.unparse(call.args[0]), call) for call in _calls(task) if call.args]
    added = {(name.removesuffix(".add"), key) for name, key, _ in calls if _is_cache(name, "add")}
    deleted = [(name.removesuffix(".delete"), key, call) for name, key, call in calls if _is_cache(name, "delete")]
    return [ast.unparse(call) for name, key, call in deleted if (name, key) in added]


def functions_of(task: Task) -> list[FunctionType]:
    """The task's own, and those of its modules that it calls by name, and so on. Skips libraries.

    Raises OSError where there is no source of the task itself.
    """
    run = inspect.unwrap(task.run)
    found: list[FunctionType] = [getattr(run, "__func__", run)]
    inspect.getsource(found[0])
    for function in found:  # grows
        for name in sorted(called_names(function)):
            called = _resolve(name, function.__globals__)
            if called and called not in found and len(found) < MAX_FUNCTIONS:
                found.append(called)
    return found


def _resolve(name: str, names: dict[str, Any]) -> FunctionType | None:
    first, *rest = name.split(".")
    value = names.get(first)
    for each in rest:
        value = getattr(value, each, None) if inspect.ismodule(value) or inspect.isclass(value) else None
    return value if isinstance(value, FunctionType) and _is_of_the_project(inspect.unwrap(value)) else None


def _is_of_the_project(function: Callable[..., Any]) -> bool:
    try:
        return "site-packages" not in inspect.getfile(function) and bool(inspect.getsource(function))
    except (OSError, TypeError):
        return False


@cache
def _names(function: FunctionType) -> frozenset[str]:
    return frozenset(held_contexts(function) | called_names(function))


def _calls(task: Task) -> Iterator[ast.Call]:
    for function in functions_of(task):
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _is_lock_of_a_server(call: ast.Call) -> bool:
    """`cache.lock("name")`, `redis.lock(name)`: an attribute `lock` that is called with a name."""
    return isinstance(call.func, ast.Attribute) and call.func.attr == "lock" and bool(call.args or call.keywords)


def _has_timeout(call: ast.Call) -> bool:
    given = [each.value for each in call.keywords if each.arg in ("timeout", "expire", None)]
    return any(not (isinstance(each, ast.Constant) and each.value is None) for each in given)


def _adds_to_a_cache(task: Task) -> bool:
    """`if cache.add("running", 1, 60):` is a lock too."""
    return any(_is_cache(name, "add") for name in names_of(task))


def _is_cache(name: str, method: str) -> bool:
    return bool(re.fullmatch(rf".*cache\w*(\[.+\])?\.{method}", name))
