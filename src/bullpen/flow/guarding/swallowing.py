"""Code that takes every error for nothing, where it did not before."""

import ast
from collections.abc import Iterator

from bullpen.flow.guarding.breach import Breach, Sign, added
from bullpen.flow.guarding.checks import swallows
from bullpen.kernel.python_text import parse_module


def swallowed_errors(path: str, before: str, after: str) -> Iterator[Breach]:
    """Handlers beyond those of the old version that take every error and tell nobody. How they spell it is the same."""
    for sign in added(_signs(before), _signs(after)):
        yield Breach(path, sign.line, sign.text)


def _signs(source: str) -> Iterator[Sign]:
    try:
        tree = parse_module(source.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and swallows(node) and _is_silent(node):
            yield Sign("swallows every error, and tells nobody", node.lineno)


def _is_silent(handler: ast.ExceptHandler) -> bool:
    """Whether a handler calls nothing, and does not read the error it has caught."""
    inner = [node for statement in handler.body for node in ast.walk(statement)]
    told = any(isinstance(node, ast.Name) and node.id == handler.name for node in inner)
    return not told and not any(isinstance(node, ast.Call) for node in inner)
