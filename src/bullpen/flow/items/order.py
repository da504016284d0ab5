"""What must come before what, and what may run side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bullpen.domain.ids import ItemId
from bullpen.domain.work_item import WorkItem

NEAR_LINES = 8  # closer changes meet in each other's context lines, where a merge is no longer sure


@dataclass(frozen=True, slots=True)
class BrokenEdge:
    """A dependency that was cut to break a cycle."""

    item: ItemId
    no_longer_after: ItemId
    reason: str


@dataclass(frozen=True, slots=True)
class Order:
    """``after`` maps an item to those it waits for; there is no cycle in it."""

    after: Mapping[ItemId, tuple[ItemId, ...]]
    broken: tuple[BrokenEdge, ...] = field(default=())


def find_dependencies(items: Sequence[WorkItem], imports: Mapping[str, Sequence[str]]) -> Order:
    """Edges by rule and by the import graph (``imports``: path → paths it imports).

    Tests of a file come before its deeper changes; an architecture item comes after the smaller items of the files it
    touches; a change of an imported file comes before an architecture item of its importers.
    """
    by_path: dict[str, list[WorkItem]] = {}
    for item in items:
        by_path.setdefault(item.draft.path, []).append(item)
    after: dict[ItemId, set[ItemId]] = {item.id: set() for item in items}
    for item in items:
        for other in by_path[item.draft.path]:
            if _comes_first(other, item):
                after[item.id].add(other.id)
        if item.draft.kind == "architecture":
            for imported in imports.get(item.draft.path, ()):
                after[item.id].update(one.id for one in by_path.get(imported, ()) if one.id != item.id)
    return _break_cycles(items, after)


def _comes_first(first: WorkItem, then: WorkItem) -> bool:
    if first.id == then.id:
        return False
    deeper = then.draft.kind == "architecture"
    return (first.draft.kind == "qa" and deeper) or (deeper and first.draft.kind != "architecture")


def _break_cycles(items: Sequence[WorkItem], after: dict[ItemId, set[ItemId]]) -> Order:
    score = {item.id: (item.priority.score, item.id) for item in items}
    broken: list[BrokenEdge] = []
    while cycle := _find_cycle(after):
        item = max(cycle, key=score.__getitem__)
        waited_for = cycle[(cycle.index(item) + 1) % len(cycle)]
        after[item].discard(waited_for)
        reason = f"{' → '.join(cycle)} wait for each other; the most urgent of them goes first"
        broken.append(BrokenEdge(item, waited_for, reason))
    return Order({item: tuple(sorted(waits)) for item, waits in after.items()}, tuple(broken))


def _find_cycle(after: Mapping[ItemId, set[ItemId]]) -> list[ItemId]:
    """One cycle as a list in which each waits for the next, or an empty list."""
    finished: set[ItemId] = set()
    for start in sorted(after):
        path: list[ItemId] = []
        stack = [(start, iter(sorted(after[start])))] if start not in finished else []
        on_path = {start} if stack else set[ItemId]()
        path = [start] if stack else []
        while stack:
            node, followers = stack[-1]
            step = next(followers, None)
            if step is None:
                stack.pop()
                path.pop()
                on_path.discard(node)
                finished.add(node)
            elif step in on_path:
                return path[path.index(step) :]
            elif step not in finished:
                stack.append((step, iter(sorted(after.get(step, ())))))
                path.append(step)
                on_path.add(step)
    return []


def are_near(one: WorkItem, other: WorkItem) -> bool:
    """Whether they change lines of one file that are so close that a merge is no longer sure."""
    if one.draft.path != other.draft.path:
        return False
    return any(abs(a - b) <= NEAR_LINES for a in one.draft.lines for b in other.draft.lines)
