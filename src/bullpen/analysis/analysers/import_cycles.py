"""Modules that cannot be loaded one without the other."""

import asyncio
from collections.abc import Collection, Iterator, Sequence

from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import own_version
from bullpen.analysis.where import Role, role_of
from bullpen.codegraph import imports
from bullpen.codegraph.imports import ImportGraph, Moment, module_graph
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

_ON_LOADING = (Moment.LOAD,)
_EVER = (Moment.LOAD, Moment.CALL)


class ImportCycles:
    """Cycles in the graph of imports; those put off into functions are reported as hidden."""

    name = "import-cycles"
    reach = Reach.TREE

    def version(self) -> str:
        """Of this file and of the graph it reads."""
        return own_version(__file__, imports.__file__)

    def wants(self, path: str) -> bool:
        """Python sources other than tests."""
        return path.endswith(".py") and role_of(path) is not Role.TEST

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        graph = await asyncio.to_thread(module_graph, tree.root, paths)
        return list(_observe(graph))


def _observe(graph: ImportGraph) -> Iterator[Observation]:
    loading = graph.cycles(_ON_LOADING)
    for group in loading:
        yield _cycle(graph, group, _ON_LOADING, "import-cycles:load-time", Severity.MEDIUM)
    known = {frozenset(group) for group in loading}
    for group in graph.cycles(_EVER):
        if not any(found <= set(group) for found in known):
            yield _cycle(graph, group, _EVER, "import-cycles:hidden", Severity.LOW)


def _cycle(
    graph: ImportGraph, group: Collection[str], moments: Sequence[Moment], rule: str, severity: Severity
) -> Observation:
    way = graph.shortest_cycle(group, moments)
    others = len(group) - len(way)
    more = f", with {others} more module{'s' if others > 1 else ''} entangled" if others else ""
    when = "when they are loaded" if moments == _ON_LOADING else "through imports inside functions"
    return Observation(
        rule=rule,
        message=f"These modules import each other {when}: {' → '.join((*way, way[0]))}{more}.",
        severity=severity,
        concern=Concern.ARCHITECTURE,
        place=Place(way[0], graph.line_of(way[0], way[1], moments)),
        analyser="import-cycles",
        url="https://docs.python.org/3/faq/programming.html#what-are-the-best-practices-for-using-import-in-a-module",
    )


ANALYSER = ImportCycles()
