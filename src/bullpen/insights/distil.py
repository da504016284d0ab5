"""What the records of one session teach: its finished runs and its waves. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bullpen.domain.events import Event
from bullpen.domain.events.agent import AgentStarted
from bullpen.domain.events.improve import BatchBisected, ChangeRefused, ChangeSentBack, WaveStarted
from bullpen.domain.events.team import AttemptEnded, OutcomeMeasured
from bullpen.domain.ids import SessionId
from bullpen.domain.money import Money
from bullpen.domain.task import TaskNode
from bullpen.domain.tuning import DEVELOP, kind_of_work
from bullpen.domain.work_item import WorkItem
from bullpen.insights.runs import FinishedRun
from bullpen.kernel.bus.log import Recorded

PHASES = (DEVELOP, "review", "judge")
SIZES = ((1, "1 place"), (3, "2 to 3 places"), (9, "4 to 9 places"))
LARGEST = "10 places and more"
AFTER, ALONE = "after others", "on its own"


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A finished run and where its records are."""

    session: SessionId
    task: str
    attempt: int
    run: FinishedRun


@dataclass(frozen=True, slots=True)
class FinishedWave:
    """Items that were worked side by side: how many, for how many seconds, and how many met in conflicts."""

    session: SessionId
    wave: int
    width: int
    seconds: float
    conflicts: int
    at: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session meant to do: its items by id, and the tasks of their phases by id."""

    session: SessionId
    items: Mapping[str, WorkItem]
    tasks: Mapping[str, TaskNode]


def plan_of(session: SessionId, items: Iterable[WorkItem], tasks: Iterable[TaskNode]) -> Plan:
    """Only phases somebody was chosen for are of interest."""
    phases = {str(task.id): task for task in tasks if task.kind in PHASES}
    return Plan(session, {str(item.id): item for item in items}, phases)


def distil_runs(plan: Plan, events: Sequence[Recorded]) -> list[KeptRun]:
    """Every attempt whose outcome was measured, in the order in which they were.

    An attempt that was broken off, or whose change only met another one, says nothing and is left out.
    """
    seen = _Seen(plan)
    for recorded in events:
        seen.take(recorded.event, recorded.at)
    return seen.runs


@dataclass(slots=True)
class _Seen:
    """What was told so far: models by run, ends by run, and how often the items of the wave were refused."""

    plan: Plan
    runs: list[KeptRun] = field(default_factory=list[KeptRun])
    models: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])
    ends: dict[tuple[str, int], AttemptEnded] = field(default_factory=dict[tuple[str, int], AttemptEnded])
    refused: dict[str, int] = field(default_factory=dict[str, int])
    rework: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    def take(self, event: Event, at: float) -> None:
        """One more fact."""
        match event:
            case WaveStarted():
                self.refused |= dict.fromkeys(event.items, 0)
            case ChangeRefused():
                self.refused[event.item_id] = event.attempt
            case AgentStarted():
                self.models[event.task_id, event.attempt] = event.model
            case AttemptEnded():
                self._ended(event)
            case OutcomeMeasured():
                self._measured(event, at)
            case _:
                pass

    def _ended(self, event: AttemptEnded) -> None:
        key = (event.task_id, event.attempt)
        self.ends[key] = event
        task = self.plan.tasks.get(event.task_id)
        self.rework[key] = self.refused.get(task.item, 0) if task and task.kind == DEVELOP else 0

    def _measured(self, event: OutcomeMeasured, at: float) -> None:
        task, key = self.plan.tasks.get(event.task_id), (event.task_id, event.attempt)
        item, end = self.plan.items.get(task.item) if task else None, self.ends.get(key)
        if task is None or item is None or end is None:
            return
        draft = item.draft
        run = FinishedRun(
            kind=kind_of_work(task.kind, draft.concern.value),
            shape=AFTER if item.depends_on else ALONE,
            agent=event.agent,
            role=task.role,
            model=self.models.get(key, ""),
            recipe=recipe_in(end.summary) or draft.recipe if task.kind == DEVELOP else "",
            succeeded=event.won,
            seconds=end.seconds,
            cost=Money(end.cost_micro_usd),
            rework=self.rework[key],
            at=at,
            rule=draft.rule,
            size=size_of(len(draft.lines)),
            session=self.plan.session,
        )
        self.runs.append(KeptRun(self.plan.session, event.task_id, event.attempt, run))


def size_of(places: int) -> str:
    """The range a number of places is in."""
    return next((name for most, name in SIZES if places <= most), LARGEST)


def recipe_in(approach: str) -> str:
    """The recipe of an approach such as ``join-sorted@src/export.py:37``; empty where the words are none."""
    name, mark, _ = approach.partition("@")
    return name if mark and name.replace("-", "").isalnum() and name.islower() else ""


def distil_waves(session: SessionId, events: Sequence[Recorded]) -> list[FinishedWave]:
    """The waves that came to their end, each with the seconds until the next one began, or the last thing that was told
    of it.
    """
    found: list[FinishedWave] = []
    starts = [number for number, one in enumerate(events) if isinstance(one.event, WaveStarted)]
    for start, end in pairwise([*starts, len(events)]):
        wave = _wave(session, events[start:end])
        if wave is not None:
            found.append(wave)
    return found


def _wave(session: SessionId, events: Sequence[Recorded]) -> FinishedWave | None:
    first = events[0].event
    if not isinstance(first, WaveStarted):
        return None
    ends = [one for one in events if isinstance(one.event, AttemptEnded | ChangeSentBack | OutcomeMeasured)]
    if not ends:
        return None
    back = {one.event.item_id for one in events if isinstance(one.event, ChangeSentBack)}
    red = {one.event.culprit for one in events if isinstance(one.event, BatchBisected)}
    seconds = ends[-1].at - events[0].at
    return FinishedWave(session, first.wave, len(first.items), seconds, len(back | red), ends[-1].at)
