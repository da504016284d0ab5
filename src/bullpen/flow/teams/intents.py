"""The intent map: tasks declare what they mean to touch, and overlaps become an order before anybody edits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bullpen.domain.ids import TaskId
from bullpen.flow.schedule.intents import Advice, Intent, IntentPlan, Overlap, plan_intents
from bullpen.flow.teams.base import TeamTask

Imports = Mapping[str, Sequence[str]]  # the edges of the import graph: path to the paths it imports


@dataclass(frozen=True, slots=True)
class Mapped:
    """Tasks with the order that follows from their intents. ``same_agent`` are done by whoever did the task named.

    ``asked`` wait for a person: both sides cannot be done as they are.
    """

    tasks: tuple[TeamTask, ...]
    intents: tuple[Intent, ...]
    plan: IntentPlan
    same_agent: Mapping[TaskId, TaskId]
    asked: Mapping[TaskId, Overlap]


def map_intents(before: Iterable[TeamTask], fresh: Iterable[TeamTask], imports: Imports) -> Mapped:
    """Declare for every task that touches files, and put those that meet in order; those there were ``before`` go first.

    Overlaps that are ordered already, by what the tasks wait for, need no further order. Where one agent is to do both,
    the second is done after the first, by the same agent. Where a person is to be asked, the second is held back.
    """
    fixed = {one.id: one for one in before}
    tasks = [*fixed.values(), *fresh]
    intents = tuple(_intent(one) for one in tasks if one.planned.files)
    waits = {one.id: set(one.node.depends_on) for one in tasks}
    plan = plan_intents(intents, imports)
    same: dict[TaskId, TaskId] = {}
    shared: set[TaskId] = set()
    asked: dict[TaskId, Overlap] = {}
    for found in plan.overlaps:
        one = replace(found, first=found.then, then=found.first) if found.then in fixed else found
        if (
            one.then in fixed
            or _comes_after(one.then, one.first, waits)
            or _comes_after(one.first, one.then, waits)
        ):
            continue
        if one.advice is Advice.WATCH:
            shared.update((one.first, one.then))
        elif one.advice is Advice.ASK:
            asked[one.then] = one
            shared.update((one.first, one.then))
        else:
            waits[one.then].add(one.first)
            if one.advice is Advice.MERGE:
                same[one.then] = one.first
    mapped = tuple(_ordered(one, waits[one.id], shared=one.id in shared) for one in tasks)
    return Mapped(mapped, intents, plan, same, asked)


def _intent(one: TeamTask) -> Intent:
    """Each task speaks for itself: who will do it is not known yet."""
    return Intent(one.id, one.id, one.planned.files, one.symbols, one.aim, one.priority)


def _comes_after(later: TaskId, earlier: TaskId, waits: Mapping[TaskId, set[TaskId]]) -> bool:
    ahead, seen = [later], set[TaskId]()
    while ahead:
        for needed in waits.get(ahead.pop(), ()):
            if needed == earlier:
                return True
            if needed not in seen:
                seen.add(needed)
                ahead.append(needed)
    return False


def _ordered(one: TeamTask, needed: set[TaskId], *, shared: bool) -> TeamTask:
    known = one.node.depends_on
    depends_on = (*known, *sorted(needed - set(known)))
    planned = replace(
        one.planned,
        task=replace(one.node, depends_on=depends_on),
        shares_files=one.planned.shares_files or shared,
    )
    return replace(one, planned=planned)
