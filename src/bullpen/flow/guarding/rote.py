"""Answers by rote: code that knows what it is asked, where it worked it out before. Tests cannot tell the two apart."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bullpen.flow.guarding.breach import Breach
from bullpen.kernel.python_text import parse_module

FEW = 1  # one special case may be what was asked for; more are a table of answers


@dataclass(frozen=True, slots=True)
class Answer:
    """For this literal, that one. Both as Python writes them."""

    asked: str
    said: str
    line: int


def answers_by_rote(path: str, before: str, after: str) -> Iterator[Breach]:
    """Answers in the new version of a file of Python code to literals that the old one did not know."""
    old, new = _parsed(before), _parsed(after)
    if old is None or new is None:
        return
    known = {repr(node.value) for node in ast.walk(old) if isinstance(node, ast.Constant)}
    fresh = [answer for answer in _answers(new) if answer.asked not in known]
    if len(fresh) > FEW:
        told = ", ".join(f"{one.asked}: {one.said}" for one in fresh[:3])
        yield Breach(path, fresh[0].line, f"answers by rote what it was not asked before: {told}"[:160])


def _parsed(source: str) -> ast.Module | None:
    try:
        return parse_module(source.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _answers(tree: ast.Module) -> Iterator[Answer]:
    tables = dict(_tables(tree))
    for node in ast.walk(tree):
        if (table := _looked_up(node, tables)) is not None:
            yield from _of_table(table)
        elif isinstance(node, ast.If):
            yield from _of_condition(node.test, _constants_given(node.body))
        elif isinstance(node, ast.IfExp):
            yield from _of_condition(node.test, _constant(node.body))
        elif isinstance(node, ast.match_case):
            yield from _of_case(node)


def _tables(tree: ast.Module) -> Iterator[tuple[str, ast.Dict]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((one.id, node.value) for one in targets if isinstance(one, ast.Name))


def _looked_up(node: ast.AST, tables: Mapping[str, ast.Dict]) -> ast.Dict | None:
    """The table something that is not a literal is looked up in, by ``[…]`` or ``.get(…)``."""
    if isinstance(node, ast.Subscript):
        table, key = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        table, key = node.func.value, node.args[0] if node.args else None
    else:
        return None
    if key is None or isinstance(key, ast.Constant):
        return None
    if isinstance(table, ast.Name):
        return tables.get(table.id)
    return table if isinstance(table, ast.Dict) else None


def _of_table(table: ast.Dict) -> Iterator[Answer]:
    for key, value in zip(table.keys, table.values, strict=True):
        asked, said = _constant(key), _constant(value)
        if asked and said and key:
            yield Answer(asked, said, key.lineno)


def _of_condition(test: ast.expr, said: str) -> Iterator[Answer]:
    """``if x == 3: return 4``, with any number of literals it may be equal to."""
    if not said or not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return
    if not isinstance(test.ops[0], (ast.Eq, ast.In, ast.Is)):
        return
    for side in (test.left, test.comparators[0]):
        parts = side.elts if isinstance(side, (ast.Tuple, ast.List, ast.Set)) else [side]
        yield from (Answer(asked, said, test.lineno) for part in parts if (asked := _constant(part)))


def _of_case(case: ast.match_case) -> Iterator[Answer]:
    said = _constants_given(case.body)
    patterns = case.pattern.patterns if isinstance(case.pattern, ast.MatchOr) else [case.pattern]
    for pattern in patterns:
        asked = _constant(pattern.value) if isinstance(pattern, ast.MatchValue) else ""
        if said and asked:
            yield Answer(asked, said, pattern.lineno)


def _constants_given(body: Sequence[ast.stmt]) -> str:
    """What a block gives back or keeps at its end, if it does nothing but give back and keep literals."""
    given = [_constant_given(statement) for statement in body]
    return given[-1] if all(given) else ""


def _constant_given(statement: ast.stmt) -> str:
    """What a statement gives back or keeps, if that is a literal."""
    return _constant(statement.value) if isinstance(statement, (ast.Return, ast.Assign)) else ""


def _constant(node: ast.expr | None) -> str:
    """A literal as Python writes it; empty for anything else, and for what every program is full of."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _constant(node.operand)
        return f"-{inner}" if inner else ""
    return repr(node.value) if isinstance(node, ast.Constant) and node.value is not None else ""
