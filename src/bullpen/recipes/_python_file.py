"""A Python file as recipes read it: LibCST's tree with positions, parents and qualified names."""

import dataclasses
import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar, cast

import libcst as cst
from libcst import matchers as m
from libcst.metadata import (
    ByteSpanPositionProvider,
    ImportAssignment,
    MetadataWrapper,
    QualifiedNameSource,
    Scope,
    ScopeProvider,
)

from bullpen.kernel.python_text import parse_module

N = TypeVar("N", bound=cst.CSTNode)
BOM = b"\xef\xbb\xbf"
UNDECODABLE = re.compile("[\udc80-\udcff]")
LINE_END = re.compile(rb"\r\n?|\n")
PROVIDERS = (ByteSpanPositionProvider, ScopeProvider)
KEPT_CHARACTERS = 400_000  # of files kept parsed; a tree takes some 150 bytes for each
STATEMENTS = (cst.SimpleStatementLine, cst.SimpleStatementSuite, cst.BaseCompoundStatement)


@dataclass(frozen=True, slots=True)
class Import:
    """``import module``, or ``from module import name``."""

    module: str
    name: str = ""

    @property
    def target(self) -> str:
        """The qualified name it makes reachable."""
        return f"{self.module}.{self.name}" if self.name else self.module

    @property
    def code(self) -> str:
        """The statement."""
        return f"from {self.module} import {self.name}" if self.name else f"import {self.module}"


@dataclass(frozen=True, slots=True)
class PythonFile:
    """A parsed file. Offsets are byte offsets into ``data``; lines and columns start at 1."""

    data: bytes
    module: cst.Module
    skipped: int  # length of the byte order mark
    metadata: Mapping[object, Mapping[cst.CSTNode, object]]
    parents: Mapping[cst.CSTNode, cst.CSTNode]
    line_starts: Sequence[int]  # offsets, the first without the byte order mark
    scopes: frozenset[Scope]

    @property
    def newline(self) -> str:
        """The line end that the file uses."""
        return self.module.default_newline

    @property
    def unit(self) -> str:
        """One level of indentation as most of the file has it."""
        return self.module.default_indent

    def unit_at(self, node: cst.CSTNode) -> str:
        """One level of indentation as the block around a node has it."""
        blocks = (one.indent for one in self.ancestors(node) if isinstance(one, cst.IndentedBlock))
        return next(blocks, None) or self.unit

    def range(self, node: cst.CSTNode) -> tuple[tuple[int, int], tuple[int, int]]:
        """Line and column of a node's first character, and of the place after its last."""
        start, end = self.span(node)
        return self._place(start), self._place(end)

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.line_starts, offset)
        return line, len(self.text(self.line_starts[line - 1], offset)) + 1

    def lines(self, node: cst.CSTNode) -> tuple[int, int]:
        """First and last line of a node."""
        (first, _), (last, _) = self.range(node)
        return first, last

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """Byte offsets of a node, without the parentheses, white space and comments around it."""
        place = self.metadata[ByteSpanPositionProvider][node]
        start, length = cast("int", place.start), cast("int", place.length)  # type: ignore[attr-defined]
        return start + self.skipped, start + length + self.skipped

    def code(self, node: cst.CSTNode) -> str:
        """The node's own text as it stands in the file, without parentheses around it."""
        return self.text(*self.span(node))

    def text(self, start: int, end: int) -> str:
        """The text between two byte offsets."""
        return self.data[start:end].decode("utf-8", "surrogateescape")

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node around this one; None for the module."""
        return self.parents.get(node)

    def nodes(self, kind: type[N]) -> list[N]:
        """Every node of a kind, in the order of the text, outer ones first."""
        found = [node for node in self.parents if isinstance(node, kind)]
        return sorted(found, key=lambda node: (self.span(node)[0], -self.span(node)[1]))

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes around this one, innermost first."""
        above = self.parent(node)
        while above is not None:
            yield above
            above = self.parent(above)

    def statement(self, node: cst.CSTNode) -> cst.CSTNode:
        """The innermost statement a node is in: a line of simple statements, or a compound statement."""
        around = (node, *self.ancestors(node))
        return next((one for one in around if isinstance(one, STATEMENTS)), self.module)

    def function(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        """The innermost function a node is in; None at module or class level."""
        return next((one for one in self.ancestors(node) if isinstance(one, cst.FunctionDef)), None)

    def name(self, node: cst.CSTNode) -> str:
        """The qualified name of a name or attribute, or of what a call calls: ``yaml.load``, ``builtins.len``.

        Empty unless it can only be that one thing, imported or built in: a local name of the same spelling or a
        conditional import makes it uncertain.
        """
        target = node.func if isinstance(node, cst.Call) else node
        if not isinstance(target, cst.Name | cst.Attribute) or not dotted(target):
            return ""  # LibCST gives ``open(p).read`` the name of what is called first
        scope = self.metadata[ScopeProvider].get(target)
        known = list(scope.get_qualified_names_for(target)) if isinstance(scope, Scope) else []
        certain = (QualifiedNameSource.IMPORT, QualifiedNameSource.BUILTIN)
        return known[0].name if len(known) == 1 and known[0].source in certain else ""

    def bound(self, name: str) -> bool:
        """Whether a name is given a value anywhere in the file, in whatever scope (built-ins do not count)."""
        return any(name in scope.assignments for scope in self.scopes)

    def indent(self, node: cst.CSTNode) -> str:
        """The white space before the line on which a node starts."""
        start = self.line_start(self.span(node)[0])
        white = re.compile(rb"[ \t\f]*").match(self.data, start)
        return self.text(start, white.end()) if white else ""

    def line_start(self, offset: int) -> int:
        """Offset of the first byte of the line an offset is in."""
        before = max(self.data.rfind(b"\n", 0, offset), self.data.rfind(b"\r", 0, offset))
        return max(before + 1, self.skipped)

    def line_end(self, offset: int) -> int:
        """Offset of the line end at or after an offset; the end of the file if there is none."""
        found = re.compile(rb"[\r\n]").search(self.data, offset)
        return found.start() if found else len(self.data)

    def has_comment(self, node: cst.CSTNode) -> bool:
        """Whether a comment stands inside a node."""
        start, end = self.span(node)
        return b"#" in self.data[start:end] and bool(m.findall(node, m.Comment()))

    def local_name(self, wanted: Import) -> str | None:
        """How the file would write what ``wanted`` imports; None if that name means something else anywhere."""
        known = [alias for alias in top_level_imports(self.module) if alias.target == wanted.target]
        spelled = known[0].spelled if known else (wanted.name or wanted.module.partition(".")[0])
        if any(not self._only_imports(scope, spelled, wanted) for scope in self.scopes):
            return None
        return spelled if wanted.name or known else wanted.module

    def _only_imports(self, scope: Scope, spelled: str, wanted: Import) -> bool:
        return all(
            isinstance(one, ImportAssignment)
            and {found.name for found in one.get_qualified_names_for(spelled)} == {wanted.target}
            for one in scope.assignments[spelled]
        )

    def imports(self, wanted: Import) -> bool:
        """Whether the file imports it unconditionally at its top level."""
        return any(alias.target == wanted.target for alias in top_level_imports(self.module))


@dataclass(frozen=True, slots=True)
class ImportedName:
    """One name that an import statement binds: what it stands for, and how the file spells it."""

    target: str
    spelled: str


def top_level_imports(module: cst.Module) -> Iterator[ImportedName]:
    """The names that unconditional imports of a module bind."""
    for line in module.body:
        for small in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            yield from _imported(small)


def _imported(small: cst.CSTNode) -> Iterator[ImportedName]:
    if isinstance(small, cst.Import):
        for alias in small.names:
            name = dotted(alias.name)
            yield ImportedName(name, alias.evaluated_alias or name)
    if isinstance(small, cst.ImportFrom) and small.module and not small.relative:
        for alias in () if isinstance(small.names, cst.ImportStar) else small.names:
            name = dotted(alias.name)
            yield ImportedName(f"{dotted(small.module)}.{name}", alias.evaluated_alias or name)


def dotted(node: cst.CSTNode) -> str:
    """``a.b.c`` for a chain of names; empty for anything else."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        above = dotted(node.value)
        return above and f"{above}.{node.attr.value}"
    return ""


_kept: OrderedDict[str, PythonFile | None] = OrderedDict()


def read_python(text: str) -> PythonFile | None:
    """Parse a file; None if it is not valid Python for this interpreter, or nested too deep to be worth the risk.

    The last files are kept, as many as fit: several recipes are asked about each of a file's places.
    """
    if text not in _kept:
        _kept[text] = _read_python(text)
    _kept.move_to_end(text)
    while len(_kept) > 1 and sum(map(len, _kept)) > KEPT_CHARACTERS:
        _kept.popitem(last=False)
    return _kept[text]


def _read_python(text: str) -> PythonFile | None:
    """The interpreter's own parser goes first: it bounds nesting, which LibCST's native parser does not."""
    data = text.encode("utf-8", "surrogateescape")
    skipped = len(BOM) if data.startswith(BOM) else 0
    if not parses(text):
        return None
    try:
        wrapper = MetadataWrapper(cst.parse_module(_readable(text)), unsafe_skip_copy=True)
        metadata = wrapper.resolve_many(PROVIDERS)
    except (RecursionError, KeyError, cst.ParserSyntaxError):
        return None  # KeyError: LibCST leaves out positions where it ran out of stack
    known = cast("Mapping[object, Mapping[cst.CSTNode, object]]", metadata)
    scopes = frozenset(one for one in known[ScopeProvider].values() if isinstance(one, Scope))
    starts = (skipped, *(found.end() for found in LINE_END.finditer(data)))
    return PythonFile(data, wrapper.module, skipped, known, parents(wrapper.module), starts, scopes)


def parents(module: cst.Module) -> dict[cst.CSTNode, cst.CSTNode]:
    """The node around each node but the module: what LibCST's own provider says, in a fifth of its time."""
    found: dict[cst.CSTNode, cst.CSTNode] = {}
    waiting: list[cst.CSTNode] = [module]
    while waiting:
        node = waiting.pop()
        children = list(_children(node))
        found.update(dict.fromkeys(children, node))
        waiting += reversed(children)
    return found


def _children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for name in _fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            yield value
        elif isinstance(value, list | tuple):
            yield from (one for one in cast("Sequence[object]", value) if isinstance(one, cst.CSTNode))


@cache
def _fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def parses(text: str) -> bool:
    """Whether this interpreter takes a text for Python."""
    try:
        parse_module(_readable(text))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def _readable(text: str) -> str:
    """The text without byte order mark, undecodable bytes as question marks (one byte each, so offsets hold)."""
    return UNDECODABLE.sub("?", text.removeprefix("\ufeff"))
