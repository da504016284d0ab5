"""Small faults put into code, to see whether a test notices (mutation testing, DeMillo et al. 1978)."""

import ast
import copy
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from bullpen.kernel.python_text import parse_module

MOST_MUTANTS = 48
OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
COPIES = frozenset({"list", "tuple"})
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


def mutants(function: ast.FunctionDef) -> tuple[str, ...]:
    """Sources of the function with one fault each: an operator, a constant, a condition or a result changed."""
    bare = _without_annotations(function)
    nodes = [node for statement in bare.body if not _is_text(statement) for node in ast.walk(statement)]
    found = dict.fromkeys(source for node in nodes for source in _with_fault(bare, node))
    found.update(dict.fromkeys(source for node in nodes for source in _with_parts_left_out(bare, node)))
    found.pop(ast.unparse(bare), None)
    return tuple(found)[:MOST_MUTANTS]


def without_raise(function: ast.FunctionDef, line: int) -> str:
    """The function's source with the ``raise`` on that line taken out."""
    bare = _without_annotations(function)
    bare.body = _emptied(bare.body, line)
    return ast.unparse(bare)


def _emptied(body: list[ast.stmt], line: int) -> list[ast.stmt]:
    replaced: list[ast.stmt] = []
    for statement in body:
        taken = isinstance(statement, ast.Raise) and statement.lineno == line
        replaced.append(ast.Pass() if taken else statement)
        for field in ("body", "orelse", "finalbody"):
            inner = getattr(statement, field, None)
            if inner and isinstance(inner, list):
                setattr(statement, field, _emptied(inner, line))  # type: ignore[reportUnknownArgumentType]
    return replaced


def _without_annotations(function: ast.FunctionDef) -> ast.FunctionDef:
    bare = copy.deepcopy(function)
    bare.returns = None
    bare.decorator_list = []
    for node in ast.walk(bare.args):
        if isinstance(node, ast.arg):
            node.annotation = None
    return bare


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _with_fault(tree: ast.FunctionDef, node: ast.AST) -> Iterator[str]:
    """Sources with each fault of one node; the node is as before after each."""
    if isinstance(node, ast.Name) and node.id in NAMES:
        yield from _set(tree, node, "id", NAMES[node.id])
    elif isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp)) and type(node.op) in OPERATORS:
        yield from _set(tree, node, "op", OPERATORS[type(node.op)]())
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        yield from _set(tree, node, "ops", [OPERATORS[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.Constant):
        for value in _other_values(node.value):
            yield from _set(tree, node, "value", value)
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield from _set(tree, node, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Return) and not _is_nothing(node.value):
        yield from _set(tree, node, "value", ast.Constant(None))


def _with_parts_left_out(tree: ast.FunctionDef, node: ast.AST) -> Iterator[str]:
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.Call) and (inner := _argument_instead(value)) is not None:
            yield from _set(tree, node, field, inner)
    if isinstance(node, ast.BoolOp):
        for index in range(len(node.values)):
            yield from _set(tree, node, "values", [*node.values[:index], *node.values[index + 1 :]])


def _argument_instead(node: ast.Call) -> ast.expr | None:
    """What a call works on, where the call may be left out: ``x`` of ``x.strip()`` and of ``sorted(x)``."""
    if isinstance(node.func, ast.Attribute) and not node.args:
        return node.func.value
    return node.args[0] if len(node.args) == 1 and not isinstance(node.args[0], ast.Starred) else None


def _set(tree: ast.FunctionDef, node: ast.AST, field: str, value: object) -> Iterator[str]:
    before: object = getattr(node, field)
    setattr(node, field, value)
    yield ast.unparse(tree)
    setattr(node, field, before)


def _is_nothing(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _other_values(value: object) -> tuple[object, ...]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, (int, float)):
        return (value + 1,)
    return (value + "x",) if isinstance(value, str) else ()


@dataclass(frozen=True, slots=True)
class Mutant:
    """A whole file with one fault put into ``line`` (from 1); ``what`` shows the old text and the new one."""

    line: int
    what: str
    source: str


def line_mutants(source: str, lines: Collection[int], most: int) -> tuple[Mutant, ...]:
    """Files with one fault each on some lines of ``source``; everything else stays as it is, byte for byte.

    At most ``most``, spread over the lines. None where the file does not parse, and where the lines hold nothing that
    runs (imports, annotations, docstrings, comments).
    """
    tree = _parsed(source)
    if tree is None:
        return ()
    wanted = frozenset(lines)
    text = source.encode("utf-8", "surrogateescape")
    starts = _line_starts(text)
    by_line: dict[int, list[Mutant]] = {}
    for node in _running_nodes(tree):
        if getattr(node, "lineno", 0) in wanted:
            for mutant in _spliced(text, starts, node):
                by_line.setdefault(mutant.line, []).append(mutant)
    return spread([by_line[line] for line in sorted(by_line)], most)


def _parsed(source: str) -> ast.Module | None:
    try:
        return parse_module(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _line_starts(text: bytes) -> list[int]:
    """Byte offset at which each line begins; what Python counts as the end of a line."""
    return [0, *(found.end() for found in re.finditer(rb"\r\n|\r|\n", text))]


def _running_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes whose change could be noticed: not inside annotations, imports, bare texts or f-strings."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "type_params", "decorator_list", "type_comment"):
            continue
        for child in value if isinstance(value, list) else [value]:  # pyright: ignore[reportUnknownVariableType]
            if isinstance(child, ast.AST) and not isinstance(child, (ast.Import, ast.ImportFrom)):
                if isinstance(child, ast.stmt) and _is_text(child):
                    continue
                yield child
                if not isinstance(child, ast.JoinedStr):
                    yield from _running_nodes(child)


def _spliced(text: bytes, starts: Sequence[int], node: ast.AST) -> Iterator[Mutant]:
    for place, new in _replacements(node):
        start = starts[place.lineno - 1] + place.col_offset
        end = starts[(place.end_lineno or place.lineno) - 1] + (place.end_col_offset or 0)
        old = text[start:end].decode("utf-8", "surrogateescape")
        changed = (text[:start] + new.encode("utf-8", "surrogateescape") + text[end:]).decode(
            "utf-8", "surrogateescape"
        )
        if old != new and _parsed(changed) is not None:
            yield Mutant(place.lineno, f"{short(old)} became {short(new)}", changed)


def _replacements(node: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Which piece of the file to replace, and by what."""
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield node.test, f"(not ({ast.unparse(node.test)}))"
    elif isinstance(node, ast.Return):
        yield node, "return" if not _is_nothing(node.value) else "return 1"
    elif isinstance(node, (ast.Raise, ast.Assert)) or (isinstance(node, ast.Expr) and _is_call(node.value)):
        yield node, "pass"
    elif isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
        yield node, _with(node, "op", OPERATORS[type(node.op)]())
    elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value and not _is_nothing(node.value):
        yield node.value, "None"
    elif isinstance(node, (ast.For, ast.AsyncFor)):
        yield node.iter, "()"
    elif isinstance(node, ast.ExceptHandler) and node.type is not None:
        yield node.type, "()"
    elif isinstance(node, ast.expr):
        yield from ((node, f"({new})") for new in _other_expressions(node))


def _other_expressions(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NAMES:
        yield NAMES[node.id]
    elif isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in OPERATORS:
        yield _with(node, "op", OPERATORS[type(node.op)]())
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        yield _with(node, "ops", [OPERATORS[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.JoinedStr):
        yield "'mutant'"
    elif isinstance(node, ast.Constant):
        yield from (repr(value) for value in _other_values(node.value))
    elif isinstance(node, ast.Call) and (inner := _argument_instead(node)) is not None and not _copies(node):
        yield ast.unparse(inner)


def _copies(node: ast.Call) -> bool:
    """``list(x)``: to leave it out mostly changes nothing anybody could notice."""
    return isinstance(node.func, ast.Name) and node.func.id in COPIES and bool(node.args)


def _with(node: ast.expr | ast.stmt, field: str, value: object) -> str:
    changed = copy.copy(node)
    setattr(changed, field, value)
    return ast.unparse(changed)


def _is_call(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) or (isinstance(value, ast.Await) and isinstance(value.value, ast.Call))


def short(text: str) -> str:
    """A piece of code on one line, cut where it is long."""
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= 40 else one_line[:39] + "…"


def spread(by_line: Sequence[Sequence[Mutant]], most: int) -> tuple[Mutant, ...]:
    """The first of each line, then the second of each, and so on."""
    rounds = zip_longest(*by_line)
    return tuple(mutant for one in rounds for mutant in one if mutant is not None)[:most]
