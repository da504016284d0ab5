"""How far a finding reaches: from the line it marks to the code it speaks of."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from bullpen.analysis.outline import Outline, parse_python
from bullpen.domain.finding import Finding
from bullpen.flow.disagreements.base import Extent

_EARLIER = re.compile(r"\bfrom line (\d+)")
_NAMED = re.compile(r"[`'\"]([A-Za-z_]\w*)[`'\"]")
_JUMPS = (ast.Return, ast.Raise, ast.Continue, ast.Break)

Lines = tuple[int, int]  # first and last, both included


@dataclass(frozen=True)
class SourceText:
    """A file as findings are placed in it. One that is no Python has lines only."""

    path: str
    text: str

    def reach(self, finding: Finding, extent: Extent) -> Lines:
        """The lines the finding speaks of; those it marks where the code does not tell more."""
        match extent:
            case Extent.PLACE:
                found = None
            case Extent.STATEMENT:
                found = self._statement(finding.place.line)
            case Extent.HANDLER:
                found = self._beginning(finding.place.line, ast.ExceptHandler)
            case Extent.REST:
                found = self._rest(finding.place.line)
            case Extent.EARLIER:
                found = self._earlier(finding.message)
            case Extent.SYMBOL:
                found = self._symbol(finding.place.symbol)
        return found or (finding.place.line, max(finding.place.end_line, finding.place.line))

    def follows_jump(self, line: int) -> bool:
        """Whether the statement that begins there comes after one that always leaves its block."""
        return any(
            isinstance(before, _JUMPS)
            for block in self._blocks
            for before, node in pairwise(block)
            if node.lineno == line
        )

    @cached_property
    def _nodes(self) -> tuple[ast.stmt | ast.ExceptHandler, ...]:
        tree = parse_python(self.text) if self.path.endswith((".py", ".pyi")) else None
        walked = ast.walk(tree) if tree else ()
        return tuple(node for node in walked if isinstance(node, ast.stmt | ast.ExceptHandler))

    @cached_property
    def _blocks(self) -> tuple[list[ast.stmt], ...]:
        tree = parse_python(self.text) if self.path.endswith((".py", ".pyi")) else None
        return tuple(block for node in (ast.walk(tree) if tree else ()) for block in _blocks_of(node))

    def _statement(self, line: int) -> Lines | None:
        tries = (node for node in self._nodes if isinstance(node, ast.Try))
        for node in tries:
            if any(handler.lineno == line for handler in node.handlers):
                return _lines(node)
        return self._beginning(line, ast.stmt)

    def _beginning(self, line: int, kind: type[ast.stmt] | type[ast.ExceptHandler]) -> Lines | None:
        found = [_lines(node) for node in self._nodes if isinstance(node, kind) and node.lineno == line]
        return max(found, key=lambda one: one[1], default=None)

    def _rest(self, line: int) -> Lines | None:
        ends = [_lines(block[-1])[1] for block in self._blocks if any(one.lineno == line for one in block)]
        return (line, max(ends)) if ends else None

    def _earlier(self, message: str) -> Lines | None:
        match = _EARLIER.search(message)
        return self._beginning(int(match[1]), ast.stmt) if match else None

    def _symbol(self, name: str) -> Lines | None:
        scopes = Outline(self.path, self.text).scopes if name else ()
        return next(((one.first, one.last) for one in scopes if one.name == name), None)


def names_in(message: str) -> frozenset[str]:
    """The names a finding quotes."""
    return frozenset(_NAMED.findall(message))


def meet(one: Lines, other: Lines) -> bool:
    """Whether two extents have a line in common."""
    return one[0] <= other[1] and other[0] <= one[1]


def _lines(node: ast.stmt | ast.ExceptHandler) -> Lines:
    return node.lineno, node.end_lineno or node.lineno


def _blocks_of(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block: object = getattr(node, name, None)
        if isinstance(block, list):
            yield [one for one in block if isinstance(one, ast.stmt)]  # pyright: ignore[reportUnknownVariableType]
