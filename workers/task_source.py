"""What a function's source does, read as a syntax tree: a comment or a string that looks like code counts for nothing.

Raises OSError where there is no source to read.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any


def held_contexts(function: Callable[..., Any]) -> set[str]:
    """The last names of the context managers that it enters: "exclusive" for `with locks.exclusive("a"):`."""
    calls = (node for node in _entered(_parse(function)) if isinstance(node, ast.Call))
    return {ast.unparse(call.func).rpartition(".")[2] for call in calls}


def called_names(function: Callable[..., Any]) -> set[str]:
    """As they are written: "jobs.move"."""
    return {ast.unparse(call.func) for call in _calls(function)}


def endless_cache_writes(module: ModuleType) -> list[str]:
    """The calls of `cache.set` and `cache.add` whose timeout is missing or None. A computed timeout counts as one."""
    writes = (call for call in _calls(module) if ast.unparse(call.func) in ("cache.set", "cache.add"))
    return [ast.unparse(call) for call in writes if _timeout(call, vars(module)) is None]


def _timeout(call: ast.Call, names: dict[str, Any]) -> object:
    """The expression, or what a literal or a name of the module stands for."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "timeout"] or call.args[2:3]
    match given:
        case []:
            return None
        case [ast.Constant(value=value)]:
            return value
        case [ast.Name(id=name)]:
            return names.get(name, name)
    return given


def _entered(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        match node:
            case ast.With(items=items) | ast.AsyncWith(items=items):
                yield from (item.context_expr for item in items)
            case ast.FunctionDef(decorator_list=decorators):
                yield from decorators
            case ast.Call(func=ast.Attribute(attr="enter_context"), args=args):
                yield from args


def _calls(source: Any) -> Iterator[ast.Call]:
    return (node for node in ast.walk(_parse(source)) if isinstance(node, ast.Call))


def _parse(source: Any) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(source))))
