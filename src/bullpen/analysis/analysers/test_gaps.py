"""Public Python functions that no test runs, and errors they raise that no test reaches, where coverage was measured."""

import ast
import asyncio
from collections.abc import Iterator, Sequence

from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.outline import parse_python
from bullpen.analysis.tools import own_version
from bullpen.analysis.where import Role, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.domain.test_report import FileCoverage
from bullpen.sandbox.base import Sandbox

_LONG = 10  # lines that can run
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class TestGaps:
    """Functions the tests never enter, and ``raise`` statements they never reach in others."""

    __test__ = False
    name = "test-gaps"
    reach = Reach.KNOWN

    def version(self) -> str:
        """Of this file."""
        return own_version(__file__)

    def wants(self, path: str) -> bool:
        """Python sources of the product itself."""
        return path.endswith(".py") and role_of(path) is Role.PRODUCT

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        return await asyncio.to_thread(lambda: [each for path in paths for each in _gaps(tree, path)])


def _gaps(tree: SourceTree, path: str) -> Iterator[Observation]:
    cover = tree.coverage.files.get(path) if tree.coverage else None
    module = parse_python(tree.text(path)) if cover and cover.missing else None
    if cover and module:
        for function, name in _public_functions(module, ""):
            lines = _never_run(function, cover)
            if lines:
                yield _gap(path, function, name, lines)
            else:
                yield from (
                    _unreached(path, one, name) for one in _raises(function) if one.lineno in cover.missing
                )


def _public_functions(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[_Function, str]]:
    for child in node.body:
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from _public_functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, _Function) and not child.name.startswith("_"):
            yield child, f"{prefix}{child.name}"


def _never_run(function: _Function, cover: FileCoverage) -> int:
    """How many lines could have run, if none did; else 0."""
    body = range(function.body[0].lineno, (function.end_lineno or function.lineno) + 1)
    if any(line in cover.executed for line in body):
        return 0
    return sum(line in cover.missing for line in body)


def _raises(function: _Function) -> Iterator[ast.Raise]:
    """Errors a function raises on purpose, without those that say that something is not made yet."""
    for node in _own_nodes(function):
        if isinstance(node, ast.Raise) and node.exc and "NotImplementedError" not in ast.unparse(node.exc):
            yield node


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*_FUNCTIONS, ast.Lambda)):
            yield child
            yield from _own_nodes(child)


def _unreached(path: str, raised: ast.Raise, name: str) -> Observation:
    return Observation(
        rule="test-gaps:uncovered-error-path",
        message=f"No test reaches this error of {name}.",
        severity=Severity.LOW,
        concern=Concern.QA,
        place=Place(path, raised.lineno, raised.col_offset + 1, symbol=name),
        analyser="test-gaps",
        url="https://coverage.readthedocs.io/",
    )


def _gap(path: str, function: _Function, name: str, lines: int) -> Observation:
    return Observation(
        rule="test-gaps:never-run",
        message=f"No test runs {name} ({lines} {'line' if lines == 1 else 'lines'}).",
        severity=Severity.MEDIUM if lines >= _LONG else Severity.LOW,
        concern=Concern.QA,
        place=Place(path, function.lineno, function.col_offset + 1, symbol=name),
        analyser="test-gaps",
        url="https://coverage.readthedocs.io/",
    )


ANALYSER = TestGaps()
