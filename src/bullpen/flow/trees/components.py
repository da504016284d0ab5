"""Splitting by the codebase: files that belong together become one task, and what is imported is changed first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from bullpen.codegraph.imports import ImportGraph, Moment
from bullpen.domain.ids import TaskId, derived_id
from bullpen.domain.task import TaskNode
from bullpen.flow.trees.complexity import DEFAULT_SPLIT, Extent, chunks, complexity
from bullpen.flow.trees.plan import PlannedTask

_LOADED = (Moment.LOAD,)


@dataclass(frozen=True, slots=True)
class Component:
    """Files to change together, and the places of the components (in the list of all) that come before it."""

    files: tuple[str, ...]
    after: tuple[int, ...]


def components(
    files: Iterable[str], graph: ImportGraph, most_files: int = DEFAULT_SPLIT.files
) -> list[Component]:
    """Cut ``files`` into components, each after those it imports.

    Files that import each other in a circle stay together, however many. Beyond that, files of one folder whose turn
    it is at the same time are put together, up to ``most_files``. The same files give the same components.
    """
    wanted = sorted(set(files))
    knots = _knots(wanted, graph)
    level = _levels(knots, graph)
    rows: dict[tuple[int, str], list[tuple[str, ...]]] = {}
    for knot in dict.fromkeys(knots[path] for path in wanted):
        rows.setdefault((level[knot], _folder(knot)), []).append(knot)
    groups = [
        tuple(path for number in part for path in row[number])
        for _, row in sorted(rows.items())
        for part in chunks([len(knot) for knot in row], most_files)
    ]
    return _ordered(groups, graph)


def component_tasks(
    parent: TaskNode, found: Sequence[Component], places: Mapping[str, int], role: str = "developer"
) -> list[PlannedTask]:
    """A task below ``parent`` for each component; ``places`` are the lines to change, by file."""
    names = [TaskId(derived_id("task", parent.id, *one.files)) for one in found]
    planned: list[PlannedTask] = []
    for number, one in enumerate(found):
        extent = Extent(sum(places.get(path, 1) for path in one.files), len(one.files))
        first, *others = one.files
        more = f" and {len(others)} more" if others else ""
        task = TaskNode(
            names[number],
            parent.id,
            f"{parent.title}: {first}{more}",
            "component",
            role,
            depends_on=tuple(names[before] for before in one.after),
            capabilities=parent.capabilities,
            acceptance=parent.acceptance,
            complexity=complexity(extent).points,
            position=number,
            item=parent.item,
        )
        planned.append(PlannedTask(task, frozenset(one.files)))
    return planned


def _knots(files: Sequence[str], graph: ImportGraph) -> dict[str, tuple[str, ...]]:
    """For each file, those of the files it is in a circle with; alone where there is none."""
    knots: dict[str, tuple[str, ...]] = {path: (path,) for path in files}
    for cycle in graph.cycles(_LOADED):
        inside = tuple(path for path in cycle if path in knots)
        knots.update(dict.fromkeys(inside, inside))
    return knots


def _folder(knot: Sequence[str]) -> str:
    return knot[0].rpartition("/")[0]


def _levels(knots: Mapping[str, tuple[str, ...]], graph: ImportGraph) -> dict[tuple[str, ...], int]:
    """How many layers of other files to change lie below each knot; without recursion."""
    edges = graph.edges(_LOADED)
    below = {
        knot: {knots[to] for path in knot for to in edges.get(path, ()) if to in knots} - {knot}
        for knot in knots.values()
    }
    level: dict[tuple[str, ...], int] = {}
    for knot in TopologicalSorter(below).static_order():
        level[knot] = max((level[one] + 1 for one in below[knot]), default=0)
    return level


def _ordered(groups: Sequence[tuple[str, ...]], graph: ImportGraph) -> list[Component]:
    """Groups come level by level, so what a group imports is in an earlier one."""
    edges = graph.edges(_LOADED)
    place = {path: number for number, group in enumerate(groups) for path in group}
    found: list[Component] = []
    for number, group in enumerate(groups):
        needed = {place[to] for path in group for to in edges.get(path, ()) if to in place}
        found.append(Component(group, tuple(sorted(needed - {number}))))
    return found
