"""Faults in Python, by its own parser."""

import ast
from collections.abc import Collection

from bullpen.codegraph.mutants import Mutant, line_mutants
from bullpen.kernel.python_text import parse_module

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Python:
    """See ``Faults``."""

    suffixes = (".py", ".pyi")

    def put(self, source: str, suffix: str, lines: Collection[int], most: int) -> tuple[Mutant, ...] | None:
        """See ``Faults.put``."""
        found = line_mutants(source, lines, most)
        return found if found or _parsed(source) else None

    def around(self, source: str, suffix: str, line: int) -> range:
        """See ``Faults.around``."""
        tree = _parsed(source)
        found = [_lines(node) for node in ast.walk(tree) if isinstance(node, _DEFINITIONS)] if tree else []
        inner = [lines for lines in found if line in lines]
        return inner[-1] if inner else range(line, line + 1)  # walked from the outside to the inside


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> range:
    first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
    return range(first, (node.end_lineno or node.lineno) + 1)


def _parsed(source: str) -> ast.Module | None:
    try:
        return parse_module(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


faults = Python()
