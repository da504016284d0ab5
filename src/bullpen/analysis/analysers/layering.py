"""Imports against the layers a project has declared with import-linter, checked on the graph of its imports."""

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, permutations

from bullpen.analysis.analysers import _contracts
from bullpen.analysis.analysers._contracts import FILES, Contract, Contracts, pattern, read_contracts
from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import own_version
from bullpen.codegraph import imports
from bullpen.codegraph.imports import Moment, module_graph, module_name
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

_Pairs = Collection[tuple[re.Pattern[str], re.Pattern[str]]]
_MOST_PAIRS = 20_000  # of parts of the code, over all contracts


@dataclass(frozen=True, slots=True)
class _Code:
    """Modules by dotted name: where they are, and what they import in which line."""

    paths: Mapping[str, str]
    imports: Mapping[str, Mapping[str, int]]

    def within(self, expression: str) -> frozenset[str]:
        """The modules an expression names, with all below them."""
        if "*" not in expression:
            below = f"{expression}."
            return frozenset(name for name in self.paths if name == expression or name.startswith(below))
        named = [name for name in self.paths if pattern(expression).fullmatch(name)]
        return frozenset(each for name in named for each in self.within(name))


@dataclass(frozen=True, slots=True)
class _Rule:
    """``low`` must not come to import ``high`` by any way that keeps clear of ``apart``."""

    contract: Contract
    low: frozenset[str]
    high: frozenset[str]
    apart: frozenset[str]


class Layering:
    """Breaches of contracts that the project itself has written down."""

    name = "layering"
    reach = Reach.TREE

    def version(self) -> str:
        """Of the files it is made of and of the graph it reads."""
        return own_version(__file__, str(_contracts.__file__), imports.__file__)

    def wants(self, path: str) -> bool:
        """Python sources and the files in which contracts stand."""
        return path.endswith(".py") or path in FILES

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        return await asyncio.to_thread(lambda: list(_observe(tree, paths)))


def _observe(tree: SourceTree, paths: Sequence[str]) -> Iterator[Observation]:
    read = (read_contracts(file, tree.text(file)) for file in FILES if file in paths)
    declared = next((each for each in read if each.contracts), None)
    if declared is None:
        return
    code = _code(tree, paths, declared)
    seen: dict[tuple[str, str, str], Observation] = {}
    rules = (rule for contract in declared.contracts for rule in _rules(contract, code))
    for rule in islice(rules, _MOST_PAIRS):
        for way in _breaches(rule, code):
            seen.setdefault((rule.contract.name, way[0], way[1]), _breach(rule.contract, way, code))
    yield from seen.values()


def _code(tree: SourceTree, paths: Sequence[str], declared: Contracts) -> _Code:
    present = frozenset(path for path in paths if path.endswith(".py"))
    tops = frozenset(root.partition(".")[0] for root in declared.roots)
    names = {path: module_name(path, present) for path in sorted(present)}
    ours = {path: name for path, name in names.items() if name.partition(".")[0] in tops}
    graph = module_graph(tree.root, ours)
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for each in graph.imports:
        counts = declared.typing_counts or each.moment is not Moment.TYPING
        if counts and each.importer in ours and each.imported in ours:
            targets = found[ours[each.importer]]
            line = targets.get(ours[each.imported], each.line)
            targets[ours[each.imported]] = min(line, each.line)
    return _Code({name: path for path, name in ours.items()}, found)


def _rules(contract: Contract, code: _Code) -> Iterator[_Rule]:
    if contract.type == "forbidden":
        for source in contract.sources:
            for target in contract.targets:
                low, high = code.within(source), code.within(target)
                if low and high and not low & high:
                    yield _Rule(contract, low, high, frozenset())
        return
    for container in contract.containers:
        for name in _containers(container, code):
            yield from _layer_rules(contract, name, code)


def _containers(expression: str, code: _Code) -> list[str]:
    if "*" not in expression:
        return [expression]
    return sorted(name for name in code.paths if pattern(expression).fullmatch(name))


def _layer_rules(contract: Contract, container: str, code: _Code) -> Iterator[_Rule]:
    prefix = f"{container}." if container else ""
    layers = [[code.within(f"{prefix}{module}") for module in layer.modules] for layer in contract.layers]
    everything = frozenset(name for layer in layers for part in layer for name in part)
    for above, below in combinations(layers, 2):
        for high in above:
            for low in below:
                yield _Rule(contract, low, high, everything)
    for layer, parts in zip(contract.layers, layers, strict=True):
        for low, high in permutations(parts, 2) if layer.independent else ():
            yield _Rule(contract, low, high, everything)


def _breaches(rule: _Rule, code: _Code) -> Iterator[tuple[str, ...]]:
    """Each import that breaks the rule by itself; if there is none, the shortest way that does."""
    if not rule.low or not rule.high:
        return
    ignored = [(pattern(one), pattern(other)) for one, other in rule.contract.ignored]
    direct = [
        (module, target)
        for module in sorted(rule.low)
        for target in sorted(code.imports.get(module, ()))
        if target in rule.high and not _is_ignored(module, target, ignored)
    ]
    yield from direct
    if not direct and rule.contract.indirect:
        way = _shortest(rule, code, ignored)
        if way:
            yield way


def _is_ignored(importer: str, imported: str, ignored: _Pairs) -> bool:
    return any(one.fullmatch(importer) and other.fullmatch(imported) for one, other in ignored)


def _shortest(rule: _Rule, code: _Code, ignored: _Pairs) -> tuple[str, ...]:
    """Breadth first from all of ``low``, through modules that belong to no part."""
    came_from = dict.fromkeys(sorted(rule.low), "")
    queue = deque(came_from)
    while queue:
        here = queue.popleft()
        for target in sorted(code.imports.get(here, ())):
            if target in came_from or _is_ignored(here, target, ignored):
                continue
            if target in rule.high:
                return _way(came_from, here, target)
            if target not in rule.apart:
                came_from[target] = here
                queue.append(target)
    return ()


def _way(came_from: Mapping[str, str], last: str, target: str) -> tuple[str, ...]:
    way = [target, last]
    while came_from[way[-1]]:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))


def _breach(contract: Contract, way: Sequence[str], code: _Code) -> Observation:
    importer, imported = way[0], way[1]
    through = f" by way of {', '.join(way[1:-1])}" if way[2:] else ""
    return Observation(
        rule=f"layering:{contract.type}",
        message=f"{importer} imports {way[-1]}{through}, against the project's own contract {contract.name!r}.",
        severity=Severity.MEDIUM,
        concern=Concern.ARCHITECTURE,
        place=Place(code.paths[importer], code.imports[importer][imported]),
        analyser="layering",
        url="https://import-linter.readthedocs.io/en/stable/contract_types/",
    )


ANALYSER = Layering()
