"""What a session was at any of its events: everything that changes, folded from the log alone.

The tables hold the same for the last event; a test compares both. What never changes after it was made (why an item
was proposed, the evidence of a change) is in the tables only.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bullpen.domain.events import Event, improve, work
from bullpen.domain.events import agent as agents
from bullpen.domain.events import session as told
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.domain.session import Session, Stage
from bullpen.domain.task import TaskNode, TaskState
from bullpen.domain.work_item import ItemState, ItemStep
from bullpen.kernel.bus.log import Recorded
from bullpen.sessions.scratchpad import Variable

Of = tuple[str, str]  # a task, and the name of a variable or a file on its scratchpad


@dataclass(frozen=True, slots=True)
class ItemThen:
    """A work item at that moment."""

    id: str
    title: str
    rule: str
    path: str
    severity: int
    score: float
    state: ItemState
    reason: str = ""
    change: str = ""
    owner: str = ""
    labels: tuple[str, ...] = ()
    history: tuple[ItemStep, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalThen:
    """A question to a person at that moment; ``answer`` is pending, approved, denied or expired."""

    id: str
    subject: str
    risk: str
    reason: str
    answer: str
    deadline: float
    answered_by: str = ""


@dataclass(frozen=True, slots=True)
class SessionThen:
    """A session as it was after the event at ``position``.

    ``tip`` is the newest commit of its branch, or what it started from; tokens and cost are those of all replies.
    """

    session: Session
    position: int
    at: float
    items: Mapping[str, ItemThen]
    tasks: Mapping[TaskId, TaskNode]
    approvals: Mapping[str, ApprovalThen]
    variables: Mapping[Of, Variable]
    files: Mapping[Of, str]
    base: str = ""
    tip: str = ""
    steps: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Money = field(default_factory=Money)

    def item_counts(self) -> Mapping[str, int]:
        """How many items are in each state."""
        return Counter(item.state.value for item in self.items.values())

    def task_counts(self) -> Mapping[str, int]:
        """How many tasks are in each state."""
        return Counter(task.state.value for task in self.tasks.values())


@dataclass(slots=True)
class _Folding:
    """The state while it grows; one event costs the same at any length."""

    session: Session
    position: int = 0
    at: float = 0.0
    items: dict[str, ItemThen] = field(default_factory=dict[str, ItemThen])
    tasks: dict[TaskId, TaskNode] = field(default_factory=dict[TaskId, TaskNode])
    approvals: dict[str, ApprovalThen] = field(default_factory=dict[str, ApprovalThen])
    variables: dict[Of, Variable] = field(default_factory=dict[Of, Variable])
    files: dict[Of, str] = field(default_factory=dict[Of, str])
    base: str = ""
    tip: str = ""
    steps: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0

    def become(self, at: float, **values: Any) -> None:
        """Change the session itself."""
        self.session = replace(self.session, updated_at=at, **values)

    def then(self) -> SessionThen:
        """As a value."""
        return SessionThen(
            self.session,
            self.position,
            self.at,
            self.items,
            dict(sorted(self.tasks.items(), key=lambda one: (one[1].position, one[0]))),
            self.approvals,
            self.variables,
            self.files,
            self.base,
            self.tip or self.base,
            self.steps,
            self.input_tokens,
            self.output_tokens,
            Money(self.cost),
        )


def state_after(events: Iterable[Recorded], position: int = 0) -> SessionThen:
    """The state after the last of these events, or after the last one up to ``position``; in the order of the log.

    A fork begins with the events of its parent; its own state begins where it was created.
    """
    state = _Folding(_unknown())
    for recorded in events:
        if position and recorded.position > position:
            break
        step = _STEPS.get(type(recorded.event))
        if step is not None:
            step(state, recorded.event, recorded)
        state.position, state.at = recorded.position, recorded.at
    return state.then()


def _unknown() -> Session:
    return Session(SessionId(""), "", "", "", Stage.INITIALIZE, False, "", 0.0, 0.0)


# --- the session ------------------------------------------------------------------------------------------------------


def _created(state: _Folding, event: told.SessionCreated, recorded: Recorded) -> None:
    made = Session(
        recorded.session_id,
        event.kind,
        event.goal,
        event.project,
        Stage.INITIALIZE,
        False,
        event.options,
        recorded.at,
        recorded.at,
        event.parent,
        participants=(recorded.actor_id,),
    )
    fresh = _Folding(made)
    for name in _Folding.__slots__:
        setattr(state, name, getattr(fresh, name))


def _staged(state: _Folding, event: told.StageReached, recorded: Recorded) -> None:
    state.become(recorded.at, stage=Stage(event.stage))


def _paused(state: _Folding, _: told.SessionPaused, recorded: Recorded) -> None:
    state.become(recorded.at, paused=True)


def _resumed(state: _Folding, _: told.SessionResumed, recorded: Recorded) -> None:
    state.become(recorded.at, paused=False)


def _archived(state: _Folding, _: told.SessionArchived, recorded: Recorded) -> None:
    state.become(recorded.at, archived=True)


def _tagged(state: _Folding, event: told.SessionTagged, recorded: Recorded) -> None:
    state.become(recorded.at, tags=event.tags)


def _joined(state: _Folding, event: told.ParticipantJoined, recorded: Recorded) -> None:
    state.become(recorded.at, participants=(*state.session.participants, event.participant))


def _noted(state: _Folding, event: told.FactNoted, recorded: Recorded) -> None:
    state.become(recorded.at, metadata={**state.session.metadata, event.name: event.value})


def _variable(state: _Folding, event: told.VariableSet, recorded: Recorded) -> None:
    value = Variable(event.name, event.type, event.value, event.by, recorded.at)
    state.variables[event.task_id, event.name] = value


def _file(state: _Folding, event: told.FileRead, _: Recorded) -> None:
    state.files[event.task_id, event.path] = event.sha256


# --- items, tasks, approvals ------------------------------------------------------------------------------------------


def _proposed(state: _Folding, event: work.ItemProposed, recorded: Recorded) -> None:
    now = ItemState(event.state)
    state.items[event.item_id] = ItemThen(
        event.item_id,
        event.title,
        event.rule,
        event.path,
        event.severity,
        event.score,
        now,
        labels=event.labels,
        history=(ItemStep(recorded.at, recorded.actor_id, now),),
    )


def _item_moved(state: _Folding, event: work.ItemMoved, recorded: Recorded) -> None:
    item, now = state.items.get(event.item_id), ItemState(event.state)
    if item is None:
        return
    if item.state is now:  # told with the proposal: why it begins where it does
        first = replace(item.history[0], note=event.reason)
        state.items[item.id] = replace(item, reason=event.reason, history=(first,))
        return
    state.items[item.id] = replace(
        item,
        state=now,
        reason=event.reason,
        change=event.change or item.change,
        owner=event.by,
        history=(*item.history, ItemStep(recorded.at, event.by, now, event.reason)),
    )


def _item_commented(state: _Folding, event: work.ItemCommented, recorded: Recorded) -> None:
    if item := state.items.get(event.item_id):
        step = ItemStep(recorded.at, event.by, item.state, event.text)
        state.items[item.id] = replace(item, history=(*item.history, step))


def _item_assigned(state: _Folding, event: work.ItemAssigned, _: Recorded) -> None:
    if item := state.items.get(event.item_id):
        state.items[item.id] = replace(item, owner=event.owner)


def _item_labelled(state: _Folding, event: work.ItemLabelled, _: Recorded) -> None:
    if item := state.items.get(event.item_id):
        state.items[item.id] = replace(item, labels=event.labels)


def _task_added(state: _Folding, event: work.TaskAdded, _: Recorded) -> None:
    known = event.position >= 0  # older versions did not tell
    state.tasks[TaskId(event.task_id)] = TaskNode(
        TaskId(event.task_id),
        TaskId(event.parent) if event.parent else None,
        event.title,
        event.kind,
        event.role,
        depends_on=tuple(TaskId(one) for one in event.depends_on),
        capabilities=event.capabilities,
        acceptance=event.acceptance,
        complexity=event.complexity,
        position=event.position if known else len(state.tasks),
        item=event.item_id,
    )


def _task_moved(state: _Folding, event: work.TaskMoved, recorded: Recorded) -> None:
    node, now = state.tasks.get(TaskId(event.task_id)), TaskState(event.state)
    if node is None:
        return
    started = recorded.at if now is TaskState.RUNNING else node.started_at
    ended = recorded.at if now.is_final else node.ended_at
    state.tasks[node.id] = replace(node, state=now, note=event.note, started_at=started, ended_at=ended)


def _task_reassigned(state: _Folding, event: work.TaskReassigned, _: Recorded) -> None:
    if node := state.tasks.get(TaskId(event.task_id)):
        state.tasks[node.id] = replace(node, role=event.role)


def _task_reordered(state: _Folding, event: work.TaskReordered, _: Recorded) -> None:
    node = state.tasks.get(TaskId(event.task_id))
    if node is None:
        return
    others = [one for one in state.tasks.values() if one.parent == node.parent and one.id != node.id]
    others.sort(key=lambda one: (one.position, one.id))
    for number, one in enumerate([*others[: event.position], node, *others[event.position :]]):
        state.tasks[one.id] = replace(one, position=number)


def _approval_asked(state: _Folding, event: work.ApprovalAsked, _: Recorded) -> None:
    state.approvals[event.approval_id] = ApprovalThen(
        event.approval_id, event.subject, event.risk, event.reason, "pending", event.deadline
    )


def _approval_answered(state: _Folding, event: work.ApprovalAnswered, _: Recorded) -> None:
    if asked := state.approvals.get(event.approval_id):
        by = "time" if event.answer == "expired" else event.by
        state.approvals[asked.id] = replace(asked, answer=event.answer, answered_by=by)


# --- agents and changes -----------------------------------------------------------------------------------------------


def _replied(state: _Folding, event: agents.ModelReplied, _: Recorded) -> None:
    state.steps += 1
    state.input_tokens += event.input_tokens
    state.output_tokens += event.output_tokens
    state.cost += event.cost_micro_usd


def _opened(state: _Folding, event: improve.RepositoryOpened, _: Recorded) -> None:
    state.base = event.base


def _landed(state: _Folding, event: improve.ChangeLanded, _: Recorded) -> None:
    state.tip = event.commit


_STEPS: Mapping[type[Event], Callable[[_Folding, Any, Recorded], None]] = {
    told.SessionCreated: _created,
    told.StageReached: _staged,
    told.SessionPaused: _paused,
    told.SessionResumed: _resumed,
    told.SessionArchived: _archived,
    told.SessionTagged: _tagged,
    told.ParticipantJoined: _joined,
    told.FactNoted: _noted,
    told.VariableSet: _variable,
    told.FileRead: _file,
    work.ItemProposed: _proposed,
    work.ItemMoved: _item_moved,
    work.ItemCommented: _item_commented,
    work.ItemAssigned: _item_assigned,
    work.ItemLabelled: _item_labelled,
    work.TaskAdded: _task_added,
    work.TaskMoved: _task_moved,
    work.TaskReassigned: _task_reassigned,
    work.TaskReordered: _task_reordered,
    work.ApprovalAsked: _approval_asked,
    work.ApprovalAnswered: _approval_answered,
    agents.ModelReplied: _replied,
    improve.RepositoryOpened: _opened,
    improve.ChangeLanded: _landed,
}
