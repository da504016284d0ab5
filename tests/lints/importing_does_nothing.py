"""Importing a module only defines names: no call whose result is thrown away, no loop, no opened file, no thread."""

import ast
from collections.abc import Iterator

_LOUD = frozenset(
    {"open", "print", "input", "exec", "eval", "run", "Popen", "start", "connect", "basicConfig", "system"}
)
_ENVIRONMENT = frozenset({"environ", "getenv", "argv"})


def side_effects(source: str) -> Iterator[str]:
    """Statements at the top of a module that do something."""
    for node in ast.parse(source).body:
        yield from _of(node)


def _of(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.If):
        if _is_guard(node.test):
            return
        for inner in (*node.body, *node.orelse):
            yield from _of(inner)
    elif isinstance(node, ast.Try):
        for inner in (
            *node.body,
            *node.orelse,
            *node.finalbody,
            *(one for h in node.handlers for one in h.body),
        ):
            yield from _of(inner)
    elif isinstance(node, ast.For | ast.While | ast.With | ast.Delete | ast.AugAssign):
        yield f"line {node.lineno}: {type(node).__name__.lower()} at import"
    elif isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
        yield f"line {node.lineno}: a call at import"
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        yield from _loud(node.value)


def _loud(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.Lambda):
        return
    for part in ast.walk(value):
        name = _called(part)
        if name in _LOUD:
            yield f"line {value.lineno}: {name}() at import"
        if isinstance(part, ast.Attribute) and part.attr in _ENVIRONMENT:
            yield f"line {value.lineno}: reads {part.attr} at import"


def _called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_guard(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in ast.dump(test) or "__main__" in ast.dump(test)
