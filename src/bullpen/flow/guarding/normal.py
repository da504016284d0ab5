"""Python expressions in a normal form: two that mean the same to a test have the same text.

Told apart is what a rewrite may change without loosening a check: ``x == None`` and ``x is None``, ``not a in b`` and
``a not in b``, ``3 == x`` and ``x == 3``, quotes, ways to format a string, ``range(0, n)`` and ``range(n)``,
``getattr(x, "y")`` and ``x.y``, ``lambda: []`` and ``list``, messages of assertions.
"""

import ast
import copy
from collections.abc import Iterator, Sequence
from string import Formatter

from bullpen.kernel.python_text import parse_expression

_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Gt: ast.Lt, ast.GtE: ast.LtE}
_AS_IDENTITY: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Eq: ast.Is, ast.NotEq: ast.IsNot}
_EMPTY = {"dict": "{}", "list": "[]", "tuple": "()"}


def normal(node: ast.expr) -> ast.expr:
    """The expression in its normal form; the one given stays as it is."""
    changed: ast.expr = _Normal().visit(copy.deepcopy(node))
    return changed


def normal_node(node: ast.AST) -> ast.AST:
    """A statement or expression with every expression in its normal form; the one given stays as it is."""
    changed: ast.AST = _Normal().visit(copy.deepcopy(node))
    return changed


def normal_text(node: ast.AST) -> str:
    """A statement or expression in its normal form, as text."""
    return ast.unparse(normal_node(node))


class _Normal(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.Constant(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        self.generic_visit(node)
        texts = [part.value for part in node.values if isinstance(part, ast.Constant)]
        if len(texts) == len(node.values):
            return ast.Constant("".join(str(text) for text in texts))
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        return negated(node.operand) if isinstance(node.op, ast.Not) else node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        return _comparison(node) if len(node.ops) == 1 else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and not node.keywords:
            return _plainer(node, node.func.id)
        return _formatted(node) or node

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        self.generic_visit(node)
        empty = ast.unparse(node.body) if not ast.unparse(node.args) else ""
        name = next((name for name, text in _EMPTY.items() if text == empty), "")
        return ast.Name(name, ast.Load()) if name else node


def negated(node: ast.expr) -> ast.expr:
    """``not node``, the shorter way where there is one. ``node`` is in its normal form."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return node.operand
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _OPPOSITE:
        return ast.Compare(node.left, [_OPPOSITE[type(node.ops[0])]()], node.comparators)
    return ast.UnaryOp(ast.Not(), node)


def _comparison(node: ast.Compare) -> ast.expr:
    left, op, right = node.left, node.ops[0], node.comparators[0]
    if type(op) in _MIRRORED:
        return ast.Compare(right, [_MIRRORED[type(op)]()], [left])
    if isinstance(op, (ast.In, ast.NotIn)):
        return ast.Compare(left, [op], [_members(right)])
    if type(op) not in _OPPOSITE:
        return node
    left, right = _in_order(left, right)
    if type(op) in _AS_IDENTITY and (_is_single(right) or _asks_type(left)):
        op = _AS_IDENTITY[type(op)]()
    return ast.Compare(left, [op], [right])


def _in_order(left: ast.expr, right: ast.expr) -> tuple[ast.expr, ast.expr]:
    """Constants to the right, everything else by its text."""
    return (left, right) if _rank(left) <= _rank(right) else (right, left)


def _rank(node: ast.expr) -> tuple[bool, str]:
    return isinstance(node, ast.Constant), ast.unparse(node)


def _is_single(node: ast.expr) -> bool:
    """None, True or False."""
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool))


def _asks_type(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type"


def _members(node: ast.expr) -> ast.expr:
    if isinstance(node, (ast.List, ast.Set)):
        return ast.Tuple(node.elts, ast.Load())
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys":
        return node.func.value
    return node


def _plainer(node: ast.Call, name: str) -> ast.expr:
    first, *more = node.args or [None]
    last = more[0] if len(more) == 1 else None
    if name == "range" and last is not None and isinstance(first, ast.Constant) and first.value == 0:
        return ast.Call(node.func, [last], [])
    if name == "getattr" and first is not None and isinstance(last, ast.Constant):
        attribute = last.value
        if isinstance(attribute, str) and attribute.isidentifier():
            return ast.Attribute(first, attribute, ast.Load())
    return _literal(node, name)


def _formatted(node: ast.Call) -> ast.expr | None:
    """``"{} {b}".format(a, b=c)`` as an f-string; None where the fields are more than names and numbers."""
    func = node.func
    template = func.value if isinstance(func, ast.Attribute) and func.attr == "format" else None
    starred = any(isinstance(one, ast.Starred) for one in node.args)
    if not isinstance(template, ast.Constant) or not isinstance(template.value, str) or starred:
        return None
    named = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    if len(named) != len(node.keywords):
        return None
    try:
        parts = list(_fields(template.value, node.args, named))
    except (ValueError, LookupError):  # not a template, or not all it asks for is given
        return None
    used = [part for part in parts if isinstance(part, ast.FormattedValue)]
    return ast.JoinedStr(parts) if len(used) == len(node.args) + len(named) else None


def _fields(template: str, given: Sequence[ast.expr], named: dict[str, ast.expr]) -> Iterator[ast.expr]:
    number = 0
    for text, field, spec, conversion in Formatter().parse(template):
        if text:
            yield ast.Constant(text)
        if field is None:
            continue
        name = field or str(number)
        number += not field
        value = given[int(name)] if name.isdigit() else named[name]
        how = ast.JoinedStr([ast.Constant(spec)]) if spec else None
        yield ast.FormattedValue(value, ord(conversion) if conversion else -1, how)


def _literal(node: ast.Call, name: str) -> ast.expr:
    if not node.args and name in _EMPTY:
        return parse_expression(_EMPTY[name])
    if len(node.args) == 1 and name in ("set", "tuple", "list"):
        inner = node.args[0]
        if isinstance(inner, (ast.List, ast.Tuple)) and inner.elts:
            kinds = {"set": ast.Set(inner.elts), "tuple": ast.Tuple(inner.elts, ast.Load())}
            return kinds.get(name, ast.List(inner.elts, ast.Load()))
    return node
