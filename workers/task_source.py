"""What a function's source does, read as a syntax tree: a comment or a string that looks like code counts for nothing.

Nor does a nested function that nothing names, or a `with` whose block does nothing while the work stands outside of it.
Raises OSError where there is no source to read.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from django.core.cache import cache
from django.core.cache.backends.base import BaseCache

# The writes of a cache, and the place of the timeout among their arguments.
CACHE_WRITES = {"set": 2, "add": 2, "get_or_set": 2, "set_many": 1, "touch": 1}
CACHE_WRITES |= {f"a{name}": place for name, place in CACHE_WRITES.items()}
LOGGERS = ("log", "logger", "logging")


def held_contexts(function: Callable[..., Any]) -> set[str]:
    """The last names of the context managers that it enters: "exclusive" for `with locks.exclusive("a"):`."""
    calls = (node for node in _entered(_run_nodes(function)) if isinstance(node, ast.Call))
    return {ast.unparse(call.func).rpartition(".")[2] for call in calls}


def called_names(function: Callable[..., Any]) -> set[str]:
    """As they are written: "jobs.move"."""
    return {ast.unparse(node.func) for node in _run_nodes(function) if isinstance(node, ast.Call)}


def endless_cache_writes(module: ModuleType) -> list[str]:
    """The calls that write to a cache and whose timeout is missing or None. A computed timeout counts as one."""
    nodes = list(ast.walk(_parse(module)))
    names = {name for name, value in vars(module).items() if value is cache or isinstance(value, BaseCache)}
    names |= {name for node in nodes for name in _names_of_caches(node)}
    writes = (node for node in nodes if isinstance(node, ast.Call) and _is_cache_write(node.func, names))
    return [ast.unparse(call) for call in writes if _timeout(call, vars(module)) is None]


def _names_of_caches(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.ImportFrom(module="django.core.cache", names=names):
            yield from (each.asname or each.name for each in names if each.name == "cache")
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript(value=ast.Name(id="caches"))):
            yield name


def _is_cache_write(function: ast.expr, names: set[str]) -> bool:
    match function:
        case ast.Attribute(value=ast.Name(id=name), attr=attr):
            return attr in CACHE_WRITES and name in names
        case ast.Attribute(value=ast.Subscript(value=ast.Name(id="caches")), attr=attr):
            return attr in CACHE_WRITES
    return False


def _timeout(call: ast.Call, names: dict[str, Any]) -> object:
    """The expression, or what a literal or a name of the module stands for."""
    if any(isinstance(each, ast.Starred) for each in call.args) or any(each.arg is None for each in call.keywords):
        return call  # *arguments or **options may have one
    place = CACHE_WRITES[ast.unparse(call.func).rpartition(".")[2]]
    given = [keyword.value for keyword in call.keywords if keyword.arg == "timeout"] or call.args[place : place + 1]
    match given:
        case []:
            return None
        case [ast.Constant(value=value)]:
            return value
        case [ast.Name(id=name)]:
            return names.get(name, name)
    return given


def _entered(nodes: list[ast.AST]) -> Iterator[ast.expr]:
    for node in nodes:
        match node:
            case ast.With(items=items) | ast.AsyncWith(items=items):
                yield from (item.context_expr for item in items)
            case ast.FunctionDef(decorator_list=decorators):
                yield from decorators
            case ast.Call(func=ast.Attribute(attr="enter_context"), args=args):
                yield from args


def _run_nodes(function: Callable[..., Any]) -> list[ast.AST]:
    """Without nested functions that nothing names, and without blocks that do nothing beside others that do."""
    tree = _parse(function)
    does_nothing = all(_is_idle(statement) for node in tree.body for statement in getattr(node, "body", []))
    nodes: list[ast.AST] = []
    unnamed: dict[str, list[ast.AST]] = {}
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        nodes.append(node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                unnamed.setdefault(child.name, []).append(child)
            elif does_nothing or not (isinstance(child, ast.With | ast.AsyncWith) and _is_idle(child)):
                pending.append(child)
        if not pending:
            named = {getattr(each, "id", getattr(each, "attr", "")) for each in nodes}
            pending = [each for name in named & unnamed.keys() for each in unnamed.pop(name)]
    return nodes


def _is_idle(statement: ast.stmt) -> bool:
    """Whether it does no work: it logs, names a value, enters a context, or is a block of such statements."""
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=value) | ast.Assign(value=value, targets=[ast.Name()]):
            return _is_idle_value(value)
        case ast.With(body=body) | ast.AsyncWith(body=body):
            return all(map(_is_idle, body))
    return False


def _is_idle_value(value: ast.expr) -> bool:
    match value:
        case ast.Call(func=ast.Attribute(attr="enter_context")):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name)), args=args, keywords=keywords) if name in LOGGERS:
            return all(map(_is_idle_value, [*args, *(each.value for each in keywords)]))
    return not any(isinstance(node, ast.Call | ast.Await | ast.Yield | ast.YieldFrom) for node in ast.walk(value))


def _parse(source: Any) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(source))))
