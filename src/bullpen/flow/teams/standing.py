"""How a team stands: what may start, what can never start, what is to stop, and whether it is over. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bullpen.domain.ids import TaskId
from bullpen.domain.task import TaskNode, TaskState
from bullpen.flow.teams.base import Kept, TeamPolicy, TeamTask
from bullpen.flow.trees.group import GroupStanding, OnFailure, stand
from bullpen.flow.trees.plan import ready
from bullpen.flow.trees.recompose import Rule, recompose

_OPEN = (TaskState.WAITING, TaskState.RUNNING)


@dataclass(frozen=True, slots=True)
class Standing:
    """``skip`` are tasks that end now without having been done, each with its state and reason.

    ``verdict`` is DONE or FAILED when it is over, else RUNNING; ``inner`` are states of tasks that have children.
    """

    verdict: TaskState
    reason: str
    ready: tuple[TaskId, ...]
    skip: tuple[Kept, ...]
    inner: Mapping[TaskId, TaskState]


def standing(
    tasks: Sequence[TeamTask],
    states: Mapping[TaskId, TaskState],
    kept: Mapping[TaskId, Kept],
    policy: TeamPolicy,
) -> Standing:
    """How the team stands, given the state of every leaf and how those that ended did."""
    inner = {one.node.parent for one in tasks if one.node.parent}
    leaves = [one for one in tasks if one.id not in inner]
    above = _inner_states(tasks, states, kept, policy)
    now = {**states, **above}
    failed = _failure(leaves, now, kept, policy)
    if failed is not None:
        still = tuple(_ended(one.id, TaskState.CANCELLED, failed) for one in leaves if now[one.id] in _OPEN)
        verdict = TaskState.RUNNING if still else TaskState.FAILED
        return Standing(verdict, failed, (), still, above)
    skip = {
        one.task: one for one in (*_hopeless(tasks, leaves, now), *_superfluous(leaves, now, kept, policy))
    }
    if all(now[one.id].is_final for one in leaves):
        done = sum(now[one.id] is TaskState.DONE for one in leaves)
        return Standing(TaskState.DONE, f"{done} of {len(leaves)} tasks are done.", (), (), above)
    nodes = [_seen(one, now) for one in tasks]
    free = tuple(name for name in ready(nodes) if name not in skip)
    return Standing(TaskState.RUNNING, f"{len(leaves)} tasks.", free, tuple(skip.values()), above)


def _inner_states(
    tasks: Sequence[TeamTask],
    states: Mapping[TaskId, TaskState],
    kept: Mapping[TaskId, Kept],
    policy: TeamPolicy,
) -> dict[TaskId, TaskState]:
    """From the leaves upward. Who failed is told by the groups: here a parent is done when something of it is."""
    rule = Rule.ALL if policy.group.on_failure is OnFailure.FAIL_FAST else Rule.BEST_EFFORT
    inner = {one.node.parent for one in tasks if one.node.parent}
    nodes = [
        replace(one.node, state=TaskState.WAITING if one.id in inner else states[one.id]) for one in tasks
    ]
    composed = recompose(nodes, [one.brief for one in kept.values()], lambda _task: rule)
    return {name: composed[name].result.state for name in composed if name in inner}


def _failure(
    leaves: Sequence[TeamTask],
    now: Mapping[TaskId, TaskState],
    kept: Mapping[TaskId, Kept],
    policy: TeamPolicy,
) -> str | None:
    """Why the team has failed; None while it has not."""
    for one in leaves:
        if not one.group and now[one.id] in (TaskState.FAILED, TaskState.SKIPPED):
            said = kept[one.id].summary if one.id in kept else ""
            return f"{one.node.title} is {now[one.id].value}: {said or 'no reason was given'}"
    for name, group in _groups(leaves, now, kept, policy).items():
        if group.state is TaskState.FAILED:
            return f"{name}: {group.reason}"
    return None


def _superfluous(
    leaves: Sequence[TeamTask],
    now: Mapping[TaskId, TaskState],
    kept: Mapping[TaskId, Kept],
    policy: TeamPolicy,
) -> list[Kept]:
    """Those of a group that has what it needs."""
    return [
        _ended(task, TaskState.CANCELLED, f"not needed: {group.reason}")
        for group in _groups(leaves, now, kept, policy).values()
        if group.state is TaskState.DONE
        for task in group.cancel
    ]


def _groups(
    leaves: Sequence[TeamTask],
    now: Mapping[TaskId, TaskState],
    kept: Mapping[TaskId, Kept],
    policy: TeamPolicy,
) -> dict[str, GroupStanding]:
    members: dict[str, list[TeamTask]] = {}
    for one in leaves:
        if one.group:
            members.setdefault(one.group, []).append(one)
    return {
        name: stand(policy.group, [kept.get(one.id, Kept(one.id, now[one.id])).brief for one in group])
        for name, group in members.items()
    }


def _hopeless(
    tasks: Sequence[TeamTask], leaves: Sequence[TeamTask], now: Mapping[TaskId, TaskState]
) -> list[Kept]:
    """Those that wait for what will never be done."""
    by_id = {one.id: one for one in tasks}
    found: list[Kept] = []
    for one in leaves:
        if now[one.id] is TaskState.WAITING and not one.takes_partial:
            lost = next((name for name in _needs(one.node, by_id) if _is_lost(now[name])), None)
            if lost is not None:
                why = f"it waits for {by_id[lost].node.title!r}, which is {now[lost].value}"
                found.append(_ended(one.id, TaskState.SKIPPED, why))
    return found


def _needs(node: TaskNode, by_id: Mapping[TaskId, TeamTask]) -> list[TaskId]:
    """What a task and its ancestors wait for."""
    found = list(node.depends_on)
    while node.parent is not None:
        node = by_id[node.parent].node
        found.extend(node.depends_on)
    return found


def _seen(one: TeamTask, now: Mapping[TaskId, TaskState]) -> TaskNode:
    """The node as ``ready`` is to see it: of what ended without being done, nothing is waited for any more."""
    needed = one.node.depends_on
    if one.takes_partial:
        needed = tuple(name for name in needed if not _is_lost(now[name]))
    return replace(one.node, state=now[one.id], depends_on=needed)


def _is_lost(state: TaskState) -> bool:
    return state.is_final and state is not TaskState.DONE


def _ended(task: TaskId, state: TaskState, why: str) -> Kept:
    return Kept(task, state, summary=why)
