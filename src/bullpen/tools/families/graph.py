"""Questions about how the code hangs together: symbols, calls, imports. Answered by reading, never by running."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bullpen.codegraph.base import Import, Moment
from bullpen.codegraph.graph import CodeGraph, KeptFacts, code_graph, suffix_of, suffixes
from bullpen.domain.errors import BullpenError, InvalidInput, NotFound
from bullpen.tools.base import AnyText, Risk, ToolContext, tool
from bullpen.tools.workspace import normal, read_bytes, walk

_MOST = 100
_LARGEST = 1024 * 1024  # what is larger was written by a program
_NOT_OURS = frozenset({"node_modules", ".venv", "venv", "__pycache__", "site-packages"})

Name = Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class SymbolShown:
    """A symbol, its kind and where it stands."""

    name: str
    kind: str
    path: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class SymbolsFound:
    """Definitions by path and line; ``more`` says how many were left out, ``unread`` which files could not be read."""

    symbols: tuple[SymbolShown, ...]
    more: int
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallShown:
    """A call: in which symbol (empty: on loading), and whether its file imports or holds a definition of that name."""

    path: str
    line: int
    inside: str
    written: str
    linked: bool


@dataclass(frozen=True, slots=True)
class CallersFound:
    """Calls, those that imports lead to first."""

    calls: tuple[CallShown, ...]
    more: int
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportShown:
    """A file at the other end of an import, its line, and when it runs: load, call or typing."""

    path: str
    line: int
    when: str


@dataclass(frozen=True, slots=True)
class ImportsShown:
    """What a file of the workspace imports of it, and what imports the file."""

    imports: tuple[ImportShown, ...]
    imported_by: tuple[ImportShown, ...]
    more: int


@dataclass(frozen=True, slots=True)
class PathFound:
    """A chain of files, each importing the next; empty where there is none."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cycle:
    """Files that all reach each other, and the shortest way round."""

    files: tuple[str, ...]
    shortest: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CyclesFound:
    """Import cycles that exist on loading."""

    cycles: tuple[Cycle, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Dependent:
    """A file, and through how many imports it depends: 1 is directly."""

    path: str
    steps: int


@dataclass(frozen=True, slots=True)
class Breakage:
    """All that depends on a file, nearest first."""

    count: int
    files: tuple[Dependent, ...]


@tool(risk=Risk.READ)
async def find_symbol(ctx: ToolContext, name: Name) -> SymbolsFound:
    """Find where a function, class, method or variable is defined.

    Args:
        name: Its name, such as run; or with what is around it, such as Job.run.
    """
    graph = await _graph(ctx)
    found = graph.definitions_of(name)
    shown = (
        SymbolShown(
            one.definition.name, one.definition.kind, one.path, one.definition.line, one.definition.last
        )
        for one in found[:_MOST]
    )
    return SymbolsFound(tuple(shown), _rest(found), _unread(graph))


@tool(risk=Risk.READ)
async def find_callers(ctx: ToolContext, name: Name) -> CallersFound:
    """Find the places that call something of this name. Calls through getattr or strings are not seen.

    Args:
        name: The name of a function, class or method, such as run or Job.run.
    """
    graph = await _graph(ctx)
    found = graph.calls_of(name)
    shown = (
        CallShown(one.path, one.call.line, one.call.inside, one.call.written, one.linked)
        for one in found[:_MOST]
    )
    return CallersFound(tuple(shown), _rest(found), _unread(graph))


@tool(risk=Risk.READ)
async def show_imports(ctx: ToolContext, path: AnyText) -> ImportsShown:
    """Show what a file imports from this workspace, and which files import it.

    Args:
        path: The file, relative to the workspace.
    """
    graph, name = await _graph_with(ctx, path)
    out = [ImportShown(one.imported, one.line, one.moment.value) for one in _from(graph, name)]
    back = [
        ImportShown(one.importer, one.line, one.moment.value)
        for one in graph.imports.imports
        if one.imported == name
    ]
    return ImportsShown(_sorted(out), _sorted(back), _rest(out) + _rest(back))


@tool(risk=Risk.READ)
async def find_import_path(ctx: ToolContext, start: AnyText, end: AnyText) -> PathFound:
    """Find the shortest chain of imports that leads from one file to another.

    Args:
        start: The file that imports.
        end: The file to get to.
    """
    graph, first = await _graph_with(ctx, start)
    return PathFound(graph.imports.shortest_path(first, _known(graph, end)))


@tool(risk=Risk.READ)
async def find_import_cycles(ctx: ToolContext) -> CyclesFound:
    """Find groups of files that import each other in a circle when they are loaded."""
    graph = await _graph(ctx)
    groups = graph.imports.cycles((Moment.LOAD,))
    shown = (Cycle(group[:_MOST], graph.imports.shortest_cycle(group)) for group in groups[:_MOST])
    return CyclesFound(tuple(shown), _rest(groups))


@tool(risk=Risk.READ)
async def find_dependents(ctx: ToolContext, path: AnyText) -> Breakage:
    """Find every file that depends on a file, directly or through others: what may break if it changes.

    Args:
        path: The file, relative to the workspace.
    """
    graph, name = await _graph_with(ctx, path)
    found = graph.imports.dependents(name)
    return Breakage(len(found), tuple(Dependent(*one) for one in list(found.items())[:_MOST]))


async def _graph(ctx: ToolContext) -> CodeGraph:
    return await asyncio.to_thread(_read_graph, ctx.workspace)


async def _graph_with(ctx: ToolContext, path: str) -> tuple[CodeGraph, str]:
    """The graph, and the one spelling of a path that is in it."""
    graph = await _graph(ctx)
    return graph, _known(graph, path)


def _known(graph: CodeGraph, path: str) -> str:
    name = normal(path)
    if name not in graph.files:
        if suffix_of(name) not in suffixes():
            raise InvalidInput(f"{path!r} is of no language known here ({', '.join(sorted(suffixes()))}).")
        raise NotFound(f"There is no file {path!r}.")
    if graph.files[name] is None:
        raise InvalidInput(f"{path!r} cannot be parsed.")
    return name


def _read_graph(root: Path) -> CodeGraph:
    return code_graph(dict(_sources(root)), _kept())


def _sources(root: Path) -> Iterable[tuple[str, bytes]]:
    for path in walk(root):
        if suffix_of(path) in suffixes() and _NOT_OURS.isdisjoint(path.split("/")):
            try:
                content = read_bytes(root, path)
            except BullpenError:  # too large to be read, or gone meanwhile
                continue
            if len(content) <= _LARGEST:
                yield path, content


@cache
def _kept() -> KeptFacts:
    """One for the process: what a file says depends on nothing but its content."""
    return KeptFacts()


def _from(graph: CodeGraph, path: str) -> list[Import]:
    return [one for one in graph.imports.imports if one.importer == path]


def _sorted(shown: list[ImportShown]) -> tuple[ImportShown, ...]:
    return tuple(sorted(shown, key=lambda one: (one.path, one.line))[:_MOST])


def _rest(found: Sequence[object]) -> int:
    return max(0, len(found) - _MOST)


def _unread(graph: CodeGraph) -> tuple[str, ...]:
    return tuple(sorted(graph.imports.unreadable))[:_MOST]


TOOLS = (find_symbol, find_callers, show_imports, find_import_path, find_import_cycles, find_dependents)
