"""What makes code slower without a test noticing: work that grows with each round, and waiting in a row."""

import ast
from collections.abc import Iterator, Mapping

from bullpen.flow.guarding.breach import Breach, Sign, added
from bullpen.flow.guarding.data_flow import Function
from bullpen.kernel.python_text import parse_module

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_GROWING = frozenset({"append", "extend", "add", "appendleft"})
_SEARCHING = frozenset({"count", "index"})
_WHOLE = frozenset({"sorted", "list", "tuple", "set", "frozenset", "sum"})
_TOGETHER = frozenset(
    {"gather", "TaskGroup", "create_task", "ensure_future", "as_completed", "wait", "submit"}
)


def slower_code(path: str, before: str, after: str) -> Iterator[Breach]:
    """Ways in which the new version of a file of Python code does more work than the old one, or does it in a row."""
    old, new = _parsed(before), _parsed(after)
    if old is None or new is None:
        return
    for sign in added(_growing_work(old), _growing_work(new)):
        yield Breach(path, sign.line, f"takes longer in each round: {sign.text}")
    known = _functions(old)
    for name, function in _functions(new).items():
        if name in known and _is_together(known[name]) and _waits_in_a_row(function):
            yield Breach(path, function.lineno, f"{name} waits in a row for what ran side by side")


def _parsed(source: str) -> ast.Module | None:
    try:
        return parse_module(source.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _growing_work(tree: ast.Module) -> Iterator[Sign]:
    """Work in a loop over something the same loop makes longer. Names are left out, so that renaming adds nothing."""
    for loop in (node for node in ast.walk(tree) if isinstance(node, _LOOPS)):
        grown = frozenset(_grown(loop))
        for node in _own_nodes(loop):
            if (how := _copies(node) or _goes_through(node, grown)) and isinstance(
                node, (ast.stmt, ast.expr)
            ):
                yield Sign(how, node.lineno)


def _own_nodes(loop: ast.AST) -> Iterator[ast.AST]:
    """What is inside a loop, without the loops and functions inside it. Not recursive: sources may be deep."""
    waiting = list(ast.iter_child_nodes(loop))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, (*_LOOPS, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


def _grown(loop: ast.AST) -> Iterator[str]:
    for node in _own_nodes(loop):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) if attr in _GROWING:
                yield name
            case _:
                pass


def _copies(node: ast.AST) -> str:
    """``x = [*x, y]``, ``x = x + [y]``, ``x = {**x, k: v}``."""
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
        return ""
    name, value = node.targets[0].id, node.value
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        parts = [one.value for one in value.elts if isinstance(one, ast.Starred)]
    elif isinstance(value, ast.Dict):
        parts = [one for key, one in zip(value.keys, value.values, strict=True) if key is None]
    elif isinstance(value, ast.BinOp) and isinstance(value.op, (ast.Add, ast.BitOr)):
        shown = isinstance(value.right, (ast.List, ast.Tuple, ast.Set, ast.Dict))
        parts = [value.left] if shown else []
    else:
        parts = []
    again = any(isinstance(part, ast.Name) and part.id == name for part in parts)
    return "what was gathered is copied for one more" if again else ""


def _goes_through(node: ast.AST, grown: frozenset[str]) -> str:
    """``x.count(y)`` or ``sorted(x)`` of what the loop makes longer."""
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    if (
        isinstance(function, ast.Attribute)
        and function.attr in _SEARCHING
        and _is_one_of(function.value, grown)
    ):
        return "what was gathered is searched from its beginning"
    whole = isinstance(function, ast.Name) and function.id in _WHOLE
    if whole and any(_is_one_of(argument, grown) for argument in node.args):
        return "what was gathered is gone through as a whole"
    return ""


def _is_one_of(node: ast.expr, names: frozenset[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _functions(tree: ast.Module) -> Mapping[str, Function]:
    found = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return {node.name: node for node in found}


def _is_together(function: Function) -> bool:
    """Whether it starts things that run side by side."""
    calls = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    names = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}
    return bool(names & _TOGETHER)


def _waits_in_a_row(function: Function) -> bool:
    """Whether nothing runs side by side, and each round of a loop waits for its own."""
    if _is_together(function):
        return False
    rounds = (node for node in ast.walk(function) if isinstance(node, (*_LOOPS, *_COMPREHENSIONS)))
    return any(isinstance(inner, ast.Await) for one in rounds for inner in ast.walk(one))
