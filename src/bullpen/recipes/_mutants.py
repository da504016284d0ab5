"""Small faults put into one function, to see whether a test notices (mutation testing, DeMillo et al. 1978)."""

import ast
import copy
from collections.abc import Iterator

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
