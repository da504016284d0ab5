"""What sessions took and gave, from their events alone: time, steps, tokens, cost, success, rework. Pure.

Time is measured on a clock that stands still while nothing works: between two runs, while a session is paused and its
last work has ended, and in gaps longer than any one step may take (the process was killed, the machine slept).
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from bullpen.domain.events import Event, improve, work
from bullpen.domain.events import agent as agents
from bullpen.domain.events import session as told
from bullpen.domain.money import Money
from bullpen.domain.session import Stage
from bullpen.domain.work_item import ItemState
from bullpen.kernel.bus.log import Recorded

QUIET_SECONDS = 3600.0  # no event for longer than this: nothing was working
_WORK_AREAS = frozenset({agents.__name__, improve.__name__})
_WORK = (work.TaskMoved, told.StageReached)


@dataclass(frozen=True, slots=True)
class SessionStats:
    """Figures of one session. Seconds are of the clock that stands still while nothing works, but for ``idle_seconds``.

    ``success`` is the share of the items worked on that ended done, None where none ended. ``rework`` counts changes
    that were refused or sent back. ``stages`` parts ``seconds``; ``agents`` (by role) and ``tools`` overlap, as they
    work side by side.
    """

    session: str
    project: str
    stage: str
    began_at: float
    ended_at: float
    seconds: float
    idle_seconds: float
    first_change_seconds: float | None
    steps: int
    tool_calls: int
    input_tokens: int
    output_tokens: int
    cost: Money
    items: int
    done: int
    failed: int
    success: float | None
    rework: int
    stages: Mapping[str, float]
    agents: Mapping[str, float]
    tools: Mapping[str, float]

    @property
    def tokens(self) -> int:
        """Of both ways."""
        return self.input_tokens + self.output_tokens


def _zero() -> defaultdict[str, float]:
    return defaultdict(float)


@dataclass(slots=True)
class _Tally:
    """What is counted while the events go by."""

    quiet: float
    began: float = 0.0
    at: float = 0.0
    clock: float = 0.0
    ended: bool = False  # the run came to its end; nothing works
    paused: bool = False
    session: str = ""
    project: str = ""
    stage: str = Stage.INITIALIZE.value
    first_change: float | None = None
    steps: int = 0
    calls: int = 0
    tokens: tuple[int, int] = (0, 0)
    cost: int = 0
    rework: int = 0
    items: dict[str, str] = field(default_factory=dict[str, str])
    worked: set[str] = field(default_factory=set[str])
    running: dict[tuple[str, int], tuple[str, float]] = field(
        default_factory=dict[tuple[str, int], tuple[str, float]]
    )
    stages: defaultdict[str, float] = field(default_factory=_zero)
    agents: defaultdict[str, float] = field(default_factory=_zero)
    tools: defaultdict[str, float] = field(default_factory=_zero)


def stats_of(events: Iterable[Recorded], quiet: float = QUIET_SECONDS) -> SessionStats:
    """The figures of one session; of a fork, those since it was created."""
    tally = _Tally(quiet)
    for recorded in events:
        if isinstance(recorded.event, told.SessionCreated):
            tally = _Tally(
                quiet,
                recorded.at,
                recorded.at,
                session=recorded.session_id,
                project=recorded.event.project,
            )
            continue
        _pass_time(tally, recorded)
        step = _STEPS.get(type(recorded.event))
        if step is not None:
            step(tally, recorded.event)
    return _figures(tally)


def _pass_time(tally: _Tally, recorded: Recorded) -> None:
    gap = max(0.0, recorded.at - tally.at)
    tally.at = max(tally.at, recorded.at)
    if tally.ended or gap > tally.quiet or (tally.paused and not _is_work(recorded.event)):
        return
    tally.clock += gap
    tally.stages[tally.stage] += gap


def _is_work(event: Event) -> bool:
    return type(event).__module__ in _WORK_AREAS or isinstance(event, _WORK)


def _figures(tally: _Tally) -> SessionStats:
    for role, began in tally.running.values():  # broken off
        tally.agents[role] += tally.clock - began
    ends = Counter(tally.items[name] for name in tally.worked)
    done, failed = ends[ItemState.DONE.value], ends[ItemState.BLOCKED.value]
    return SessionStats(
        tally.session,
        tally.project,
        tally.stage,
        tally.began,
        tally.at,
        tally.clock,
        tally.at - tally.began - tally.clock,
        tally.first_change,
        tally.steps,
        tally.calls,
        *tally.tokens,
        Money(tally.cost),
        len(tally.items),
        done,
        failed,
        done / (done + failed) if done + failed else None,
        tally.rework,
        _seconds(tally.stages),
        _seconds(tally.agents),
        _seconds(tally.tools),
    )


def _seconds(spent: Mapping[str, float]) -> Mapping[str, float]:
    """The longest first; what took no time is left out."""
    ordered = sorted(spent.items(), key=lambda one: (-one[1], one[0]))
    return {name: seconds for name, seconds in ordered if seconds > 0}


# --- the events -------------------------------------------------------------------------------------------------------


def _staged(tally: _Tally, event: told.StageReached) -> None:
    tally.stage = event.stage
    tally.ended = tally.ended and Stage(event.stage).is_final


def _noted(tally: _Tally, event: told.FactNoted) -> None:
    if event.name in ("run", "run_ended"):
        tally.ended = event.name == "run_ended"


def _paused(tally: _Tally, _: told.SessionPaused) -> None:
    tally.paused = True


def _resumed(tally: _Tally, _: told.SessionResumed) -> None:
    tally.paused = False


def _proposed(tally: _Tally, event: work.ItemProposed) -> None:
    tally.items[event.item_id] = event.state


def _moved(tally: _Tally, event: work.ItemMoved) -> None:
    if event.item_id not in tally.items:
        return
    tally.items[event.item_id] = event.state
    if event.state == ItemState.IN_PROGRESS:
        tally.worked.add(event.item_id)


def _replied(tally: _Tally, event: agents.ModelReplied) -> None:
    tally.steps += 1
    tally.tokens = (tally.tokens[0] + event.input_tokens, tally.tokens[1] + event.output_tokens)
    tally.cost += event.cost_micro_usd


def _began(tally: _Tally, event: agents.AgentStarted) -> None:
    tally.running[event.task_id, event.attempt] = (event.role, tally.clock)


def _stopped(tally: _Tally, event: agents.AgentStopped) -> None:
    if begun := tally.running.pop((event.task_id, event.attempt), None):
        tally.agents[begun[0]] += tally.clock - begun[1]


def _called(tally: _Tally, event: agents.ToolFinished) -> None:
    tally.calls += 1
    tally.tools[event.tool] += event.seconds


def _landed(tally: _Tally, _: improve.ChangeLanded) -> None:
    if tally.first_change is None:
        tally.first_change = tally.clock


def _reworked(tally: _Tally, _: Event) -> None:
    tally.rework += 1


_STEPS: Mapping[type[Event], Callable[[_Tally, Any], None]] = {
    told.StageReached: _staged,
    told.FactNoted: _noted,
    told.SessionPaused: _paused,
    told.SessionResumed: _resumed,
    work.ItemProposed: _proposed,
    work.ItemMoved: _moved,
    agents.ModelReplied: _replied,
    agents.AgentStarted: _began,
    agents.AgentStopped: _stopped,
    agents.ToolFinished: _called,
    improve.ChangeLanded: _landed,
    improve.ChangeRefused: _reworked,
    improve.ChangeSentBack: _reworked,
}


# --- several sessions -------------------------------------------------------------------------------------------------

MEASURES = (
    "seconds", "idle_seconds", "first_change_seconds", "steps", "tool_calls", "tokens", "cost_usd",
    "items", "done", "failed", "success", "rework",
)  # fmt: skip


def measure(stats: SessionStats, name: str) -> float | None:
    """One of ``MEASURES`` as a number; None where it is not known."""
    return stats.cost.micro_usd / 1_000_000 if name == "cost_usd" else getattr(stats, name)


@dataclass(frozen=True, slots=True)
class Change:
    """A measure of two sessions. ``ratio`` is the second over the first; None where there is nothing to divide."""

    measure: str
    first: float | None
    second: float | None

    @property
    def ratio(self) -> float | None:
        """How many times the first the second is."""
        return self.second / self.first if self.first and self.second is not None else None


def compare(first: SessionStats, second: SessionStats) -> Sequence[Change]:
    """Every measure of both, side by side."""
    return [Change(name, measure(first, name), measure(second, name)) for name in MEASURES]


class Span(StrEnum):
    """How long a period is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


_FORMATS = {Span.DAY: "%Y-%m-%d", Span.WEEK: "%G-W%V", Span.MONTH: "%Y-%m"}


@dataclass(frozen=True, slots=True)
class Period:
    """Sessions that began in one period (UTC). Medians are over sessions, the rest are sums."""

    period: str
    sessions: int
    completed: int
    median_seconds: float
    median_first_change_seconds: float | None
    steps: int
    tokens: int
    cost: Money
    items: int
    done: int
    success: float | None
    rework: int


def over_time(some: Iterable[SessionStats], span: Span) -> Sequence[Period]:
    """Period by period, the oldest first; those without a session are left out."""
    groups: defaultdict[str, list[SessionStats]] = defaultdict(list)
    for one in some:
        groups[datetime.fromtimestamp(one.began_at, UTC).strftime(_FORMATS[span])].append(one)
    return [_period(name, groups[name]) for name in sorted(groups)]


def _period(name: str, group: Sequence[SessionStats]) -> Period:
    first = [one.first_change_seconds for one in group if one.first_change_seconds is not None]
    done, failed = sum(one.done for one in group), sum(one.failed for one in group)
    return Period(
        name,
        len(group),
        sum(one.stage == Stage.DONE for one in group),
        statistics.median(one.seconds for one in group),
        statistics.median(first) if first else None,
        sum(one.steps for one in group),
        sum(one.tokens for one in group),
        Money(sum(one.cost.micro_usd for one in group)),
        sum(one.items for one in group),
        done,
        done / (done + failed) if done + failed else None,
        sum(one.rework for one in group),
    )
