"""Python, by its own parser."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bullpen.codegraph.base import Call, Definition, FileFacts, Import, ImportWords, Moment
from bullpen.codegraph.imports import link_modules
from bullpen.kernel.python_text import parse_module

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around a node. ``open``: whether names bound here can be reached from outside."""

    inside: str = ""
    moment: Moment = Moment.LOAD
    open: bool = True
    kind: str = "function"  # what a function here is called


class Python:
    """See ``Language``."""

    suffixes = (".py",)

    def read(self, content: bytes, suffix: str) -> FileFacts | None:
        """See ``Language.read``: None for what this interpreter's version cannot parse."""
        tree = _parse(content)
        if tree is None:
            return None
        definitions: list[Definition] = []
        calls: list[Call] = []
        imports: list[ImportWords] = []
        for node, around in _walk(tree):
            definitions += _definitions(node, around)
            calls += _calls(node, around)
            imports += _imports(node, around.moment)
        return FileFacts(
            tuple(sorted(definitions, key=lambda one: one.line)),
            tuple(sorted(calls, key=lambda one: one.line)),
            tuple(sorted(imports, key=lambda one: one.line)),
        )

    def link(self, files: Mapping[str, FileFacts | None]) -> tuple[Import, ...]:
        """See ``Language.link``."""
        return link_modules({path: facts.imports if facts else None for path, facts in files.items()}).imports


def _parse(content: bytes) -> ast.Module | None:
    try:
        return parse_module(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _walk(tree: ast.Module) -> Iterator[tuple[ast.AST, _Around]]:
    waiting: list[tuple[ast.AST, _Around]] = [(tree, _Around())]
    while waiting:
        node, around = waiting.pop()
        yield node, around
        if isinstance(node, ast.If) and is_typing_only(node.test):
            waiting += [(child, replace(around, moment=Moment.TYPING)) for child in node.body]
            waiting += [(child, around) for child in (node.test, *node.orelse)]
            continue
        outer = _outer(node)
        inner = _below(node, around)
        children = [(child, around if child in outer else inner) for child in ast.iter_child_nodes(node)]
        waiting += reversed(children)


def is_typing_only(test: ast.expr) -> bool:
    """Whether this is ``TYPE_CHECKING``."""
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def _outer(node: ast.AST) -> list[ast.AST]:
    """Children that belong to what is around a definition: decorators, defaults, bases."""
    if isinstance(node, _Function):
        return [*node.decorator_list, node.args]
    return [*node.decorator_list, *node.bases, *node.keywords] if isinstance(node, ast.ClassDef) else []


def _below(node: ast.AST, around: _Around) -> _Around:
    if isinstance(node, ast.ClassDef):
        return replace(around, inside=_joined(around.inside, node.name), kind="method")
    later = Moment.CALL if around.moment is Moment.LOAD else around.moment
    if isinstance(node, _Function):
        return _Around(_joined(around.inside, node.name), later, open=False)
    return replace(around, moment=later) if isinstance(node, ast.Lambda) else around


def _joined(outer: str, name: str) -> str:
    return f"{outer}.{name}" if outer else name


def _definitions(node: ast.AST, around: _Around) -> Iterator[Definition]:
    if isinstance(node, _Function | ast.ClassDef):
        kind = "class" if isinstance(node, ast.ClassDef) else around.kind
        yield Definition(_joined(around.inside, node.name), kind, node.lineno, node.end_lineno or node.lineno)
    elif around.open and isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for name in (
            each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)
        ):
            last = node.end_lineno or node.lineno
            yield Definition(_joined(around.inside, name), "variable", node.lineno, last)


def _calls(node: ast.AST, around: _Around) -> Iterator[Call]:
    called: list[ast.expr] = []
    if isinstance(node, ast.Call):
        called = [node.func]
    elif isinstance(node, _Function | ast.ClassDef):
        called = [each for each in node.decorator_list if not isinstance(each, ast.Call)]
    for each in called:
        written = _dotted(each)
        if written:
            yield Call(written.rpartition(".")[2], written, each.lineno, around.inside)


def _dotted(node: ast.expr) -> str:
    """``a.b.c`` as it is written; what is not a name (a call, an index) becomes ``…``."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        names.append(node.id)
    elif names:
        names.append("…")
    return ".".join(reversed(names))


def _imports(node: ast.AST, moment: Moment) -> Iterator[ImportWords]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield ImportWords(alias.name, (), 0, node.lineno, moment)
    elif isinstance(node, ast.ImportFrom):
        names = tuple(alias.name for alias in node.names)
        yield ImportWords(node.module or "", names, node.level, node.lineno, moment)


language = Python()
