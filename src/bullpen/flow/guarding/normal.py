"""Python expressions in a normal form: two that mean the same to a test have the same text.

Told apart is what a rewrite may change without loosening a check: ``x == None`` and ``x is None``, ``not a in b`` and
``a not in b``, ``3 == x`` and ``x == 3``, quotes, ways to format a string, ``range(0, n)`` and ``range(n)``,
``getattr(x, "y")`` and ``x.y``, ``lambda: []`` and ``list``, messages of assertions.
"""

import ast
import copy
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
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
    changed: ast.expr = _Words().visit(copy.deepcopy(node))
    return changed


def normal_node(node: ast.AST) -> ast.AST:
    """A statement or expression in a normal form that keeps every constant, for what is looked through for them."""
    changed: ast.AST = _Normal().visit(copy.deepcopy(node))
    return changed


def normal_text(node: ast.AST) -> str:
    """A statement or expression in its normal form, as text."""
    return ast.unparse(_Words().visit(copy.deepcopy(node)))


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

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        left, right = node.left, node.right
        if (
            not isinstance(node.op, ast.Mod)
            or not isinstance(left, ast.Constant)
            or not isinstance(right, ast.Tuple)
        ):
            return node
        return _percent(left.value, right.elts) or node

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        self.generic_visit(node)
        empty = ast.unparse(node.body) if not ast.unparse(node.args) else ""
        name = next((name for name, text in _EMPTY.items() if text == empty), "")
        return ast.Name(name, ast.Load()) if name else node


class _Words(_Normal):
    """What is compared as text: here a constant may become a name, which a text also has."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        changed = super().visit_Call(node)
        return _read_attribute(changed) if isinstance(changed, ast.Call) else changed


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
    if name == "range" and len(node.args) == 1 and not isinstance(node.args[0], ast.Starred):
        return ast.Call(node.func, [ast.Constant(0), *node.args], [])
    return _literal(node, name)


def _read_attribute(node: ast.Call) -> ast.expr:
    """``getattr(x, "y")`` as ``x.y``."""
    if (
        not isinstance(node.func, ast.Name)
        or node.func.id != "getattr"
        or len(node.args) != 2
        or node.keywords
    ):
        return node
    owner, named = node.args
    name = named.value if isinstance(named, ast.Constant) else None
    return ast.Attribute(owner, name, ast.Load()) if isinstance(name, str) and name.isidentifier() else node


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
    return _joined(parts) if len(used) == len(node.args) + len(named) else None


_PERCENT = re.compile(r"%([sr%])")


def _percent(template: object, given: Sequence[ast.expr]) -> ast.expr | None:
    """``"%s %r" % (a, b)`` as an f-string; None where there are other fields."""
    if not isinstance(template, str) or "%" in _PERCENT.sub("", template):
        return None
    texts = _PERCENT.split(template)
    parts: list[ast.expr] = []
    left = list(given)
    for text, field in zip_longest(texts[::2], texts[1::2]):
        parts += [ast.Constant(text)] if text else []
        if field == "%":
            parts.append(ast.Constant("%"))
        elif field:
            if not left or isinstance(left[0], ast.Starred):
                return None
            parts.append(ast.FormattedValue(left.pop(0), ord("r") if field == "r" else -1, None))
    return None if left else _joined(parts)


def _joined(parts: Sequence[ast.expr]) -> ast.JoinedStr:
    """An f-string of texts and fields, neighbouring texts made one."""
    merged: list[ast.expr] = []
    for part in parts:
        last = merged[-1] if merged else None
        if isinstance(part, ast.Constant) and isinstance(last, ast.Constant):
            merged[-1] = ast.Constant(f"{last.value}{part.value}")
        else:
            merged.append(part)
    return ast.JoinedStr(merged)


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
