"""Whether a plan is sound. Every fault names the tasks, and all faults are found, not only the first."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError
from itertools import pairwise

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import TaskId
from bullpen.flow.trees.plan import Moment, Plan, PlannedTask, moments, order_of
from bullpen.work.tree import DEEPEST, MOST_TASKS

MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a tree may be: levels, children of one task, tasks in all."""

    depth: int = DEEPEST
    breadth: int = 10_000
    tasks: int = MOST_TASKS


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a plan, the tasks concerned, and the sentence that says so."""

    kind: str
    tasks: tuple[TaskId, ...]
    sentence: str


DEFAULT_BOUNDS = Bounds()


def check_plan(plan: Plan, requirements: Iterable[str] = (), bounds: Bounds = DEFAULT_BOUNDS) -> None:
    """Refuse a plan that is not sound.

    Raises:
        InvalidInput: the first few faults, with their tasks.
    """
    found = faults(plan, requirements, bounds)
    if found:
        more = f" And {len(found) - MOST_SHOWN} more." if len(found) > MOST_SHOWN else ""
        raise InvalidInput(
            " ".join(fault.sentence for fault in found[:MOST_SHOWN]) + more,
            remedy="Mend the plan and hand it in again; nothing of it was stored.",
            code="unsound-plan",
        )


def faults(plan: Plan, requirements: Iterable[str] = (), bounds: Bounds = DEFAULT_BOUNDS) -> list[Fault]:
    """All faults of a plan; those of its order are looked for only where its names are sound."""
    if not plan:
        return [Fault("empty", (), "The plan has no task.")]
    if len(plan) > bounds.tasks:
        return [Fault("size", (), f"The plan has {len(plan)} tasks; {bounds.tasks} are allowed.")]
    found = [*_names(plan), *_uncovered(plan, requirements)]
    if any(fault.kind in ("duplicate", "orphan", "unknown") for fault in found):
        return found
    before = moments(each.task for each in plan)
    try:
        order = order_of(before)
    except CycleError as error:
        return [*found, _cycle(error.args[1])]
    return [*found, *_bounds(plan, bounds, order), *_overlaps(plan, before, order)]


def _names(plan: Plan) -> Iterator[Fault]:
    counts = Counter(each.id for each in plan)
    for name, count in counts.items():
        if count > 1:
            yield Fault("duplicate", (name,), f"{count} tasks are called {name}.")
    for each in plan:
        if each.task.parent is not None and each.task.parent not in counts:
            sentence = f"Task {each.id} is an orphan: its parent {each.task.parent} is not in the plan."
            yield Fault("orphan", (each.id,), sentence)
        for needed in dict.fromkeys(each.task.depends_on):
            if needed == each.id:
                yield Fault("self", (each.id,), f"Task {each.id} waits for itself.")
            elif needed not in counts:
                sentence = f"Task {each.id} waits for {needed}, which is not in the plan."
                yield Fault("unknown", (each.id, needed), sentence)


def _uncovered(plan: Plan, requirements: Iterable[str]) -> Iterator[Fault]:
    covered = {one for each in plan for one in each.covers}
    wanted = dict.fromkeys(requirements)
    for one in wanted:
        if one not in covered:
            yield Fault("uncovered", (), f"No task covers the requirement {one!r}.")
    for each in plan:
        for one in sorted(each.covers - wanted.keys()) if wanted else ():
            sentence = f"Task {each.id} covers {one!r}, which is not asked for."
            yield Fault("unasked", (each.id,), sentence)


def _cycle(cycle: Sequence[Moment]) -> Fault:
    names = list(dict.fromkeys(name for name, _ in cycle))
    shown = " and ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return Fault("cycle", tuple(names), f"These wait for each other, so none can start: {shown}.")


def _bounds(plan: Plan, bounds: Bounds, order: Sequence[Moment]) -> Iterator[Fault]:
    parents = {each.id: each.task.parent for each in plan}
    children = Counter(parent for parent in parents.values() if parent is not None)
    for name, count in children.items():
        if count > bounds.breadth:
            sentence = f"Task {name} has {count} children; {bounds.breadth} are allowed."
            yield Fault("breadth", (name,), sentence)
    depth: dict[TaskId, int] = {}
    for name, is_end in order:
        if not is_end:
            parent = parents[name]
            depth[name] = 1 if parent is None else depth[parent] + 1
    deepest = max(depth, key=depth.__getitem__)
    if depth[deepest] > bounds.depth:
        sentence = f"Task {deepest} is {depth[deepest]} levels down; {bounds.depth} are allowed."
        yield Fault("depth", (deepest,), sentence)


def _overlaps(
    plan: Plan, before: Mapping[Moment, Sequence[Moment]], order: Sequence[Moment]
) -> Iterator[Fault]:
    """Tasks that change the same file with nothing to say which comes first.

    Tasks of one file must stand in a row; if all neighbours of their order do, then all do, so neighbours suffice.
    """
    place = {name: number for number, (name, is_end) in enumerate(order) if is_end}
    pairs = {
        (a.id, b.id): path
        for path, tasks in reversed(_contested(plan).items())
        for a, b in pairwise(sorted(tasks, key=lambda each: place[each.id]))
    }
    for a, b in _unordered(pairs, before, order, {each.id: each.task.parent for each in plan}):
        sentence = f"Tasks {a} and {b} would both change {pairs[a, b]!r} at the same time."
        yield Fault("overlap", (a, b), sentence)


def _contested(plan: Plan) -> dict[str, list[PlannedTask]]:
    """By file, the tasks that change it and do not share it, where there are two and more."""
    found: dict[str, list[PlannedTask]] = {}
    for each in plan:
        if not each.shares_files:
            for path in each.files:
                found.setdefault(path, []).append(each)
    return {path: found[path] for path in sorted(found) if len(found[path]) > 1}


def _unordered(
    pairs: Collection[tuple[TaskId, TaskId]],
    before: Mapping[Moment, Sequence[Moment]],
    order: Sequence[Moment],
    parents: Mapping[TaskId, TaskId | None],
) -> list[tuple[TaskId, TaskId]]:
    """Pairs of which neither must have ended before the other starts. A task and its own ancestor are no pair."""
    bits = {name: 1 << number for number, name in enumerate({one for pair in pairs for one in pair})}
    ended = _ended_before(before, order, bits) if bits else {}
    apart = [(a, b) for a, b in pairs if not ended[b, False] & bits[a] and not ended[a, False] & bits[b]]
    return sorted((a, b) for a, b in apart if not (_is_above(a, b, parents) or _is_above(b, a, parents)))


def _ended_before(
    before: Mapping[Moment, Sequence[Moment]], order: Sequence[Moment], bits: Mapping[TaskId, int]
) -> dict[Moment, int]:
    """For each moment, which of the tasks with a bit have ended by then for certain, as one whole number."""
    ended: dict[Moment, int] = {}
    for moment in order:
        known = 0
        for one in before[moment]:
            known |= ended[one] | (bits.get(one[0], 0) if one[1] else 0)
        ended[moment] = known
    return ended


def _is_above(upper: TaskId, lower: TaskId, parents: Mapping[TaskId, TaskId | None]) -> bool:
    current = parents[lower]
    while current is not None and current != upper:
        current = parents[current]
    return current is not None
