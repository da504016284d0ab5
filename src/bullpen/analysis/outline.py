"""Which symbol and which statement a line of Python belongs to."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from bullpen.domain.finding import Place
from bullpen.kernel.python_text import parse_module

_LINE_END = re.compile(r"\r\n|\r|\n")  # what Python counts as the end of a line; str.splitlines knows more
_LONGEST_SNIPPET = 2000  # characters

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Span:
    """From a line and byte offset to another; lines start at 1, offsets at 0, the end is exclusive."""

    start: tuple[int, int]
    end: tuple[int, int]
    is_import: bool = False
    is_text: bool = False  # a docstring

    def covers(self, line: int, offset: int) -> bool:
        """Whether the position lies in it."""
        return self.start <= (line, offset) < self.end

    def touches(self, line: int) -> bool:
        """Whether any of it is on the line."""
        return self.start[0] <= line <= self.end[0]


@dataclass(frozen=True, slots=True)
class Scope:
    """The lines of one function or class, decorators included."""

    first: int
    last: int
    name: str


class Outline:
    """A file's lines, and for Python its scopes and statements. A file that does not parse has neither."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.lines = _LINE_END.split(text)

    @cached_property
    def scopes(self) -> tuple[Scope, ...]:
        """Outer before inner."""
        return tuple(_scopes(self._tree, "")) if self._tree else ()

    @cached_property
    def statements(self) -> tuple[Span, ...]:
        """Simple statements, and the headers of compound ones."""
        return tuple(_statements(self._tree)) if self._tree else ()

    def symbol_at(self, line: int) -> str:
        """The qualified name of the innermost function or class around the line, or an empty string."""
        inner = [scope.name for scope in self.scopes if scope.first <= line <= scope.last]
        return inner[-1] if inner else ""

    def snippet(self, place: Place) -> str:
        """The text that is at fault: the statement in Python, the marked region or the line elsewhere.

        Of an import or a docstring only what is marked, since what stands beside it changes often.
        """
        span = self._statement_at(place)
        if span is None or span.is_text or (span.is_import and place.end_column):
            text = self._region(place)
        else:
            text = self._slice(span)
        return text[:_LONGEST_SNIPPET]

    @cached_property
    def _tree(self) -> ast.Module | None:
        return parse_python(self.text) if self.path.endswith((".py", ".pyi")) else None

    def _statement_at(self, place: Place) -> Span | None:
        offset = self._offset(place.line, place.column)
        touching = [span for span in self.statements if span.touches(place.line)]
        exact = [span for span in touching if span.covers(place.line, offset)]
        chosen = exact or touching
        return chosen[-1] if chosen else None

    def _offset(self, line: int, column: int) -> int:
        if not 1 <= line <= len(self.lines):
            return 0
        return len(self.lines[line - 1][: column - 1].encode("utf-8", "surrogateescape"))

    def _slice(self, span: Span) -> str:
        (first, start), (last, end) = span.start, span.end
        raw = [line.encode("utf-8", "surrogateescape") for line in self.lines[first - 1 : last]]
        raw[-1] = raw[-1][:end]
        raw[0] = raw[0][start:]
        return b"\n".join(raw).decode("utf-8", "surrogateescape").strip()

    def _region(self, place: Place) -> str:
        lines = self.lines[place.line - 1 : max(place.end_line, place.line)]
        if not lines:
            return ""
        if place.end_column:
            lines[-1] = lines[-1][: place.end_column - 1]
            lines[0] = lines[0][place.column - 1 :]
        return "\n".join(lines).strip() or self.lines[place.line - 1].strip()


def parse_python(text: str) -> ast.Module | None:
    """The syntax tree, or None where the text is not Python this interpreter can read."""
    try:
        return parse_module(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _scopes(node: ast.AST, prefix: str) -> Iterator[Scope]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _Definition):
            name = f"{prefix}.{child.name}" if prefix else child.name
            yield Scope(_first_line(child), child.end_lineno or child.lineno, name)
            yield from _scopes(child, name)
        elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _scopes(child, prefix)


def _statements(tree: ast.Module) -> Iterator[Span]:
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.excepthandler):
            start = _start(node)
            end = _header_end(node)
            yield Span(start, end, isinstance(node, ast.Import | ast.ImportFrom), _is_text(node))


def _is_text(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _header_end(node: ast.stmt | ast.excepthandler) -> tuple[int, int]:
    body: list[ast.stmt] = getattr(node, "body", [])
    if body:
        return _start(body[0])
    cases: list[ast.match_case] = getattr(node, "cases", [])
    if cases:
        return (cases[0].pattern.lineno, 0)
    return (node.end_lineno or node.lineno, node.end_col_offset or 0)


def _start(node: ast.stmt | ast.excepthandler) -> tuple[int, int]:
    if isinstance(node, _Definition) and node.decorator_list:
        first = node.decorator_list[0]
        return (first.lineno, max(first.col_offset - 1, 0))
    return (node.lineno, node.col_offset)


def _first_line(node: _Definition) -> int:
    return _start(node)[0]
