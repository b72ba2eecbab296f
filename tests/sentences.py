"""The sentences that a function can say, with those of all functions of `workers` that it may call.

A part that is filled in is "…".
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

SENTENCE = re.compile(r"[A-Z…].*(?:[.?] ?…?|: …)")
MIN_WORDS = 3


def sentences_of(function: Callable[..., Any]) -> set[str]:
    """Of a text of several sentences, the first one."""
    texts = {text for each in reach(function) for text in read_texts(each)}
    found = {first_sentence(text) for text in texts if SENTENCE.fullmatch(text)}
    return {text for text in found if len(re.findall(r"\w+", text)) >= MIN_WORDS}


def first_sentence(text: str) -> str:
    return re.split(r"(?<=[.?]) ?(?=[A-Z…])", text)[0]


def reach(function: Any) -> set[Any]:
    """The function, those that it names, and so on; of a class all methods; of a module what is named of it."""
    seen: set[Any] = set()
    waiting = [function]
    while waiting:
        if (each := inspect.unwrap(waiting.pop())) in seen:
            continue
        seen.add(each)
        waiting += [name for name in named_by(each) if is_ours(name)]
    return seen


def named_by(function: Any) -> Iterator[Any]:
    if inspect.isclass(function):
        yield from (each for each in vars(function).values() if not isinstance(each, str))
        return
    if isinstance(function, property):
        yield function.fget
        return
    if not isinstance(function, FunctionType):
        return
    for names in code_names(function.__code__):
        found = [function.__globals__[name] for name in names if name in function.__globals__]
        yield from found
        for module in (each for each in found if isinstance(each, ModuleType)):
            yield from (vars(module)[name] for name in names if name in vars(module))


def code_names(code: CodeType) -> Iterator[tuple[str, ...]]:
    """Of the function, and of those that it defines: comprehensions and generators."""
    yield code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_names(constant)


def is_ours(thing: Any) -> bool:
    return isinstance(thing, str) or getattr(thing, "__module__", "").startswith("workers.")


def read_texts(function: Any) -> Iterator[str]:
    """All but docstrings, and of a constant its value."""
    if isinstance(function, str):
        yield function
    if not isinstance(function, FunctionType) or function.__code__.co_filename.startswith("<"):
        return  # such as a method that @dataclass wrote
    nodes = list(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    filled = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    pieces = {id(piece) for node in filled for piece in ast.walk(node) if piece is not node}
    for node in (each for each in nodes if id(each) not in docstrings | pieces):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "…" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
