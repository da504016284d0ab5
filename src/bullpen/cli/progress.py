"""How a session stands, from its events alone: the live view, the summary and a replay all read this one state."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from bullpen.cli.parts import JOB, STEP, apply_part
from bullpen.domain.events.agent import AgentStarted, AgentStopped, ModelReplied, ToolStarted
from bullpen.domain.events.improve import (
    BatchBisected,
    BranchPublished,
    ChangeLanded,
    ChangeRefused,
    ChangeSentBack,
    PersonaSpoke,
    ReportWritten,
    RepositoryOpened,
    RoastFinished,
    TestsRun,
    WaveStarted,
)
from bullpen.domain.events.session import SessionCreated, SessionPaused, SessionResumed, StageReached
from bullpen.domain.events.team import TaskAssigned
from bullpen.domain.events.work import (
    ItemMoved,
    ItemProposed,
    TaskAdded,
    TaskMoved,
    TaskReassigned,
    TaskReordered,
)
from bullpen.domain.ids import TaskId
from bullpen.domain.session import Stage
from bullpen.domain.task import TaskNode, TaskState
from bullpen.domain.work_item import ItemState
from bullpen.kernel.bus.log import Recorded

_SALIENT = ("recipe", "command", "query", "pattern", "name", "ruling", "outcome")


@dataclass(frozen=True, slots=True)
class ItemView:
    """A work item as its events tell. ``tried`` says whether work on it ever began."""

    id: str
    title: str
    rule: str
    path: str
    severity: int
    score: float
    state: ItemState = ItemState.PROPOSED
    reason: str = ""
    change: str = ""
    tried: bool = False
    recipe: str = ""
    first: ItemState = ItemState.PROPOSED  # where it stood when it was proposed
    gates: tuple[str, ...] = ()  # those that refused its last attempt


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of one session. Times are seconds since 1970, zero where not known yet.

    ``doing`` says for each running task what its agent does now. ``tests`` and ``roasts`` go by the moment of the look: before,
    measured (the same commit, with coverage) and after.
    """

    session_id: str = ""
    kind: str = ""
    goal: str = ""
    project: str = ""
    stage: Stage = Stage.INITIALIZE
    reason: str = ""
    paused: bool = False
    position: int = 0
    started_at: float = 0.0
    work_began_at: float = 0.0
    last_at: float = 0.0
    base: str = ""
    base_branch: str = ""
    files: int = 0
    notes: tuple[str, ...] = ()
    tasks: Mapping[TaskId, TaskNode] = field(default_factory=dict[TaskId, TaskNode])
    items: Mapping[str, ItemView] = field(default_factory=dict[str, ItemView])
    doing: Mapping[TaskId, str] = field(default_factory=dict[TaskId, str])
    tests: Mapping[str, TestsRun] = field(default_factory=dict[str, TestsRun])
    roasts: Mapping[str, RoastFinished] = field(default_factory=dict[str, RoastFinished])
    reports: Mapping[str, str] = field(default_factory=dict[str, str])
    personas: tuple[PersonaSpoke, ...] = ()
    wave: int = -1
    landed: tuple[ChangeLanded, ...] = ()
    refused: int = 0
    sent_back: int = 0
    bisected: int = 0
    published: BranchPublished | None = None
    cost_micro_usd: int = 0


@dataclass(frozen=True, slots=True)
class _Tables:
    """The growing parts of a state, copied once for each batch of events."""

    tasks: dict[TaskId, TaskNode]
    items: dict[str, ItemView]
    doing: dict[TaskId, str]


def apply(state: Progress, recorded: Recorded) -> Progress:
    """The state after one more event. Events it has seen already, and kinds it does not know, change nothing else."""
    return fold(state, (recorded,))


def fold(state: Progress, events: Iterable[Recorded]) -> Progress:
    """The state after more events, in their order; the same as ``apply`` one by one, and cheaper."""
    tables = _Tables(dict(state.tasks), dict(state.items), dict(state.doing))
    state = replace(state, tasks=tables.tasks, items=tables.items, doing=tables.doing)
    for recorded in events:
        if recorded.position <= state.position:
            continue
        for area in (_session, _look, _items, _tasks, _parts, _agents, _changes):
            state = area(state, tables, recorded)
        state = replace(state, position=recorded.position, last_at=recorded.at)
    return state


def _session(state: Progress, tables: _Tables, recorded: Recorded) -> Progress:
    match recorded.event:
        case SessionCreated(kind=kind, goal=goal, project=project):
            for table in (tables.tasks, tables.items, tables.doing):
                table.clear()  # a fork begins with the events of its parent
            return Progress(
                session_id=recorded.session_id,
                kind=kind,
                goal=goal,
                project=project,
                started_at=recorded.at,
                tasks=tables.tasks,
                items=tables.items,
                doing=tables.doing,
            )
        case StageReached(stage=stage, reason=reason):
            return replace(state, stage=Stage(stage), reason=reason)
        case SessionPaused():
            return replace(state, paused=True)
        case SessionResumed():
            return replace(state, paused=False)
        case _:
            return state


def _look(state: Progress, _: _Tables, recorded: Recorded) -> Progress:
    match recorded.event:
        case RepositoryOpened() as opened:
            return replace(
                state,
                base=opened.base,
                base_branch=opened.branch,
                files=opened.files,
                notes=opened.notes,
            )
        case TestsRun() as run:
            return replace(state, tests={**state.tests, run.when: run})
        case RoastFinished() as roast:
            return replace(state, roasts={**state.roasts, roast.when: roast})
        case PersonaSpoke() as spoke:
            others = tuple(one for one in state.personas if one.persona != spoke.persona)
            return replace(state, personas=(*others, spoke))
        case ReportWritten() as report:
            return replace(state, reports={**state.reports, report.format: report.path})
        case _:
            return state


def _items(state: Progress, tables: _Tables, recorded: Recorded) -> Progress:
    match recorded.event:
        case ItemProposed() as new:
            tables.items[new.item_id] = ItemView(
                new.item_id,
                new.title,
                new.rule,
                new.path,
                new.severity,
                new.score,
                recipe=new.recipe,
                first=ItemState(new.state),
            )
        case ItemMoved() as moved if moved.item_id in tables.items:
            item = tables.items[moved.item_id]
            item_state = ItemState(moved.state)
            tables.items[moved.item_id] = replace(
                item,
                state=item_state,
                reason=moved.reason,
                change=moved.change or item.change,
                tried=item.tried or item_state is ItemState.IN_PROGRESS,
            )
        case ChangeRefused() as refused if refused.item_id in tables.items:
            tables.items[refused.item_id] = replace(tables.items[refused.item_id], gates=refused.gates)
        case ChangeLanded(title=title) as landed if title and landed.item_id in tables.items:
            tables.items[landed.item_id] = replace(tables.items[landed.item_id], title=title)
        case _:
            pass
    return state


def _tasks(state: Progress, tables: _Tables, recorded: Recorded) -> Progress:
    match recorded.event:
        case TaskAdded() as new:
            node = TaskNode(
                TaskId(new.task_id),
                TaskId(new.parent) if new.parent else None,
                new.title,
                new.kind,
                new.role,
                depends_on=tuple(TaskId(one) for one in new.depends_on),
                complexity=new.complexity,
                position=len(tables.tasks) if new.position < 0 else new.position,
                item=new.item_id,
            )
            tables.tasks[node.id] = node
        case TaskMoved() as moved if TaskId(moved.task_id) in tables.tasks:
            node = tables.tasks[TaskId(moved.task_id)]
            tables.tasks[node.id] = _moved(node, TaskState(moved.state), moved.note, recorded.at)
            if TaskState(moved.state).is_final:
                tables.doing.pop(node.id, None)
        case TaskAssigned() as given if TaskId(given.task_id) in tables.tasks:
            node = tables.tasks[TaskId(given.task_id)]
            tables.tasks[node.id] = replace(node, role=given.agent)
        case TaskReassigned(task_id=name, role=role) if TaskId(name) in tables.tasks:
            tables.tasks[TaskId(name)] = replace(tables.tasks[TaskId(name)], role=role)
        case TaskReordered(task_id=name, position=place) if TaskId(name) in tables.tasks:
            _reorder(tables, tables.tasks[TaskId(name)], place)
        case ChangeLanded(title=title) as landed if title:
            whole = [node for node in work_tasks(state) if node.item == landed.item_id]
            tables.tasks.update({node.id: replace(node, title=title) for node in whole})
        case _:
            pass
    return state


def _parts(state: Progress, tables: _Tables, recorded: Recorded) -> Progress:
    begins = apply_part(tables.tasks, recorded.event, recorded.at)
    return replace(state, work_began_at=state.work_began_at or recorded.at) if begins else state


def _reorder(tables: _Tables, node: TaskNode, place: int) -> None:
    """Those behind it among its siblings move up."""
    others = [one for one in tables.tasks.values() if one.parent == node.parent and one.id != node.id]
    others.sort(key=lambda one: one.position)
    for number, one in enumerate([*others[:place], node, *others[place:]]):
        tables.tasks[one.id] = replace(one, position=number)


def _moved(node: TaskNode, state: TaskState, note: str, at: float) -> TaskNode:
    started = at if state is TaskState.RUNNING else node.started_at
    ended = at if state.is_final else 0.0
    return replace(node, state=state, note=note, started_at=started, ended_at=ended)


def _agents(state: Progress, tables: _Tables, recorded: Recorded) -> Progress:
    match recorded.event:
        case AgentStarted() as agent:
            tables.doing[agent.task_id] = f"{agent.role}: thinks"
        case ToolStarted() as tool:
            role = tables.tasks[tool.task_id].role if tool.task_id in tables.tasks else "agent"
            tables.doing[tool.task_id] = f"{role}: {_call(tool.tool, tool.arguments)}"
        case AgentStopped() as agent:
            tables.doing.pop(agent.task_id, None)
        case ModelReplied() as reply:
            return replace(state, cost_micro_usd=state.cost_micro_usd + reply.cost_micro_usd)
        case _:
            pass
    return state


def _changes(state: Progress, _: _Tables, recorded: Recorded) -> Progress:
    match recorded.event:
        case WaveStarted() as wave:
            return replace(state, wave=wave.wave, work_began_at=state.work_began_at or recorded.at)
        case ChangeLanded() as landed:
            return replace(state, landed=(*state.landed, landed))
        case ChangeRefused():
            return replace(state, refused=state.refused + 1)
        case ChangeSentBack():
            return replace(state, sent_back=state.sent_back + 1)
        case BatchBisected():
            return replace(state, bisected=state.bisected + 1)
        case BranchPublished() as published:
            return replace(state, published=published)
        case _:
            return state


def _call(tool: str, arguments: str) -> str:
    """A tool call in a few words: ``apply_recipe http-timeout on app/api.py``."""
    try:
        given: Any = json.loads(arguments)
    except ValueError:  # the record keeps only the first characters of long arguments
        return tool
    values = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    salient = next((values[name] for name in _SALIENT if isinstance(values.get(name), str)), "")
    path = values.get("path")
    return " ".join(part for part in (tool, salient, f"on {path}" if isinstance(path, str) else "") if part)


def work_tasks(state: Progress) -> list[TaskNode]:
    """The tasks that stand for whole items, steps or jobs, in the order of the plan, as people have changed it."""
    wanted = (task for task in state.tasks.values() if task.kind in ("item", STEP, JOB))
    return sorted(wanted, key=lambda task: task.position)


def share_done(state: Progress) -> float:
    """Of the items planned, how much is done, between 0 and 1, weighed by complexity."""
    tasks = work_tasks(state)
    points = sum(task.complexity for task in tasks)
    ended = sum(task.complexity for task in tasks if task.state.is_final)
    return ended / points if points else 0.0


def seconds_left(state: Progress, now: float) -> float | None:
    """An estimate from the pace so far; None until the first item has ended, and when nothing is left."""
    share = share_done(state)
    if not state.work_began_at or not 0 < share < 1:
        return None
    return (now - state.work_began_at) * (1 - share) / share
