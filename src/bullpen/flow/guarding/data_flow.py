"""What an expression in a test is made of: the outside names and constants that feed it, through local variables."""

import ast
import builtins
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bullpen.flow.guarding.normal import normal, normal_node, normal_text

Function = ast.FunctionDef | ast.AsyncFunctionDef
_BUILTINS = frozenset(dir(builtins))
_NEUTRAL_KEYWORDS = frozenset(
    {"encoding", "timeout", "check", "errors", "newline", "strict", "usedforsecurity"}
)
_DEEPEST = 12


@dataclass(frozen=True)
class Flow:
    """Assignments of one function, and above it of its module: each name with the expressions it is bound to."""

    bound: Mapping[str, Sequence[ast.expr]]
    outer: "Flow | None" = None

    def text(self, node: ast.expr) -> str:
        """The normal form, with local names numbered in their order, and after it what feeds them."""
        numbered = _Numbered(self.bound)
        plain = normal(node)
        fed = sorted(self.feeds([plain]))
        return f"{ast.unparse(numbered.visit(plain))} ← {', '.join(fed)}"

    def feeds(self, nodes: Iterable[ast.AST]) -> frozenset[str]:
        """Constants and outside names in ``nodes`` and in everything they are bound to."""
        found: set[str] = set()
        self._collect([normal_node(node) for node in nodes], found, set(), 0)
        return frozenset(found)

    def _collect(self, nodes: Iterable[ast.AST], found: set[str], seen: set[str], depth: int) -> None:
        for part in (part for node in nodes for part in _parts(node)):
            if isinstance(part, ast.Constant):
                found.add(normal_text(part))
            elif part.id in self.bound:
                if part.id not in seen and depth < _DEEPEST:
                    seen.add(part.id)
                    self._collect(self.bound[part.id], found, seen, depth + 1)
            elif self.outer is not None and part.id in self.outer.bound:
                found |= self.outer.feeds([part])
            elif part.id not in _BUILTINS:
                found.add(part.id)


class _Numbered(ast.NodeTransformer):
    def __init__(self, local: Mapping[str, object]) -> None:
        self.local = local
        self.numbers: dict[str, int] = {}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.local:
            return node
        return ast.Name(f"local{self.numbers.setdefault(node.id, len(self.numbers))}", node.ctx)


def _parts(node: ast.AST) -> Iterator[ast.Constant | ast.Name]:
    """Constants and names read in an expression, without arguments that only say how, such as a timeout."""
    if isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)):
        yield node
        return
    if isinstance(node, ast.keyword) and node.arg in _NEUTRAL_KEYWORDS:
        return
    if isinstance(node, ast.JoinedStr):
        yield ast.Constant(_template(node))
        for field in node.values:
            yield from _parts(field.value) if isinstance(field, ast.FormattedValue) else ()
        return
    for child in ast.iter_child_nodes(node):
        yield from _parts(child)


def _template(node: ast.JoinedStr) -> str:
    """An f-string's text with empty fields."""
    parts = [
        ast.FormattedValue(ast.Name("_", ast.Load()), one.conversion, one.format_spec)
        if isinstance(one, ast.FormattedValue)
        else one
        for one in node.values
    ]
    return ast.unparse(ast.JoinedStr(parts))


def flow_of(body: Sequence[ast.stmt], outer: Flow | None = None) -> Flow:
    """The assignments of a function's or a module's own statements, and what is put into the objects they name."""
    nodes = [node for statement in body for node in own_nodes(statement)]
    bound: dict[str, list[ast.expr]] = {}
    for name, value in (pair for node in nodes for pair in _bindings(node)):
        bound.setdefault(name, []).append(as_value(value))
    for name, value in (pair for node in nodes for pair in _fillings(node)):
        if name in bound:
            bound[name].append(as_value(value))
    return Flow(bound, outer)


def as_value(node: ast.expr) -> ast.expr:
    """What a name is bound to, in the form that keeps constants."""
    changed = normal_node(node)
    return changed if isinstance(changed, ast.expr) else node


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The node and what is below it, without the insides of functions and classes."""
    yield node
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from own_nodes(child)


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _named(target, node.value)
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign)) and node.value is not None:
        yield from _named(node.target, node.value)
    elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
        yield from _named(node.target, node.iter)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield from _named(node.optional_vars, node.context_expr)
    elif isinstance(node, ast.NamedExpr):
        yield from _named(node.target, node.value)
    elif isinstance(node, ast.FunctionDef) and (made := as_lambda(node)):
        yield node.name, made


def as_lambda(function: ast.FunctionDef) -> ast.Lambda | None:
    """The lambda that does the same as a function that only returns an expression; None for another."""
    read = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and _is_read(node)}
    body = [one for one in function.body if not _is_idle(one, read)]
    only = body[0] if len(body) == 1 else None
    if function.decorator_list or not isinstance(only, ast.Return) or only.value is None:
        return None
    return ast.Lambda(function.args, only.value)


def _is_read(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def _is_idle(statement: ast.stmt, read: Collection[str]) -> bool:
    """Whether a statement gives a constant to names that nothing reads."""
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Constant):
        return False
    return all(isinstance(target, ast.Name) and target.id not in read for target in statement.targets)


def _named(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Names a target binds."""
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, (ast.Tuple, ast.List)):
        for part in target.elts:
            yield from _named(part, value)
    elif isinstance(target, ast.Starred):
        yield from _named(target.value, value)


def _fillings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """What is put into an object: ``x.y = value``, ``x[0] = value``, ``x.append(value)``."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, (ast.Attribute, ast.Subscript)):
                yield root_name(target), node.value
    elif isinstance(node, ast.Expr) and isinstance(call := node.value, ast.Call):
        yield root_name(call.func), call


def root_name(node: ast.expr) -> str:
    """``x`` of ``x.y[0].z()``; empty where it starts otherwise."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
