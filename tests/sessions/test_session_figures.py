"""Figures of sessions: time without idle time, counts, comparison, periods."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.events import Event
from bullpen.domain.events.agent import AgentStarted, AgentStopped, ModelReplied, NoteTaken, ToolFinished
from bullpen.domain.events.improve import ChangeLanded, ChangeRefused, ChangeSentBack
from bullpen.domain.events.session import (
    FactNoted,
    SessionCreated,
    SessionPaused,
    SessionResumed,
    SessionTagged,
    StageReached,
)
from bullpen.domain.events.work import ItemCommented, ItemMoved, ItemProposed
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.kernel.bus.log import Recorded
from bullpen.sessions.analytics import QUIET_SECONDS, SessionStats, Span, compare, over_time, stats_of

CREATED = SessionCreated("improve", "g", "/p", "{}")
TASK = TaskId("t")
ENDED, TAKEN_UP = FactNoted("run_ended", "0"), FactNoted("run", "1")
DAY = 86_400.0


def at(*events: tuple[float, Event]) -> list[Recorded]:
    return [Recorded(n, SessionId("ses-1"), when, "person", one) for n, (when, one) in enumerate(events, 1)]


def stats(*events: tuple[float, Event]) -> SessionStats:
    return stats_of(at(*events))


def proposed(name: str, state: str = "ready") -> ItemProposed:
    return ItemProposed(name, "t", "r", "p", 1, 1.0, 1.0, state=state)


@pytest.mark.req("SES-06")
def test_a_run_by_stage_agent_and_tool() -> None:
    found = stats(
        (0, CREATED),
        (2, StageReached("planning")),
        (5, StageReached("analysis")),
        (5, proposed("a")),
        (5, proposed("b")),
        (5, proposed("c", "blocked")),
        (6, ItemMoved("a", "in-progress", "x")),
        (6, ItemMoved("b", "in-progress", "x")),
        (7, AgentStarted(TASK, "developer", "m", 1)),
        (8, ModelReplied(TASK, 1, 1, "", (), 100, 10, 2_000)),
        (9, ToolFinished(TASK, 1, 1, "c", "run_tests", True, "", 0.75)),
        (10, AgentStopped(TASK, 1, 1, "finished", "")),
        (11, ChangeRefused("b", 1, ("tests",), "red")),
        (12, ChangeSentBack("b", "conflict")),
        (13, ItemMoved("b", "blocked", "x")),
        (14, ChangeLanded("a", "c0ffee", 14.0)),
        (14, ItemMoved("a", "done", "x")),
        (20, StageReached("done")),
    )
    assert (found.seconds, found.idle_seconds, found.first_change_seconds) == (20, 0, 14)
    assert found.stages == {"analysis": 15, "planning": 3, "initialize": 2}
    assert found.agents == {"developer": 3}
    assert found.tools == {"run_tests": 0.75}
    assert (found.steps, found.tool_calls, found.tokens, found.cost) == (1, 1, 110, Money(2_000))
    assert (found.items, found.done, found.failed, found.success, found.rework) == (3, 1, 1, 0.5, 2)
    assert (found.stage, found.project) == ("done", "/p")


@pytest.mark.req("SES-06")
@pytest.mark.parametrize(
    ("events", "worked"),
    [
        # a run ended; the next day it was taken up again
        ([(10, ENDED), (DAY, TAKEN_UP), (DAY + 5, StageReached("initialize"))], 15),
        # paused at once, and something that ran was finished; a remark during the pause is no work
        ([(10, SessionPaused("p")), (12, NoteTaken(TASK, 1, "c", "n")), (900, ItemCommented("i", "p", "t")),
          (1000, SessionResumed("p")), (1003, StageReached("planning"))], 15),
        # killed: nothing tells of it but the silence
        ([(10, StageReached("planning")), (10 + QUIET_SECONDS + 1, StageReached("analysis")), (3700, TAKEN_UP)], 99),
        # a long step is not silence
        ([(QUIET_SECONDS, StageReached("planning"))], QUIET_SECONDS),
        # what people do with a session that ended is no work
        ([(10, ENDED), (2000, SessionTagged(("a",))), (2500, SessionTagged(()))], 10),
    ],
)  # fmt: skip
def test_idle_time_is_not_counted(events: list[tuple[float, Event]], worked: float) -> None:
    found = stats((0, CREATED), *events)
    assert found.seconds == worked
    assert found.seconds + found.idle_seconds == events[-1][0]
    assert sum(found.stages.values()) == worked


@pytest.mark.req("SES-06")
def test_an_agent_that_died_and_went_on_worked_as_long_as_it_worked() -> None:
    found = stats(
        (0, CREATED),
        (1, AgentStarted(TASK, "developer", "m", 1)),
        (4, ModelReplied(TASK, 1, 1, "", (), 0, 0, 0)),
        (DAY, ModelReplied(TASK, 1, 2, "", (), 0, 0, 0)),
        (DAY + 2, AgentStopped(TASK, 1, 2, "finished", "")),
    )
    assert found.agents == {"developer": 5}
    broken_off = stats((0, CREATED), (1, AgentStarted(TASK, "qa", "m", 1)), (4, SessionTagged(())))
    assert broken_off.agents == {"qa": 3}


@pytest.mark.req("SES-06")
def test_a_fork_counts_from_its_own_beginning() -> None:
    found = stats(
        (0, CREATED), (5, ModelReplied(TASK, 1, 1, "", (), 9, 9, 9)), (DAY, CREATED), (DAY + 1, TAKEN_UP)
    )
    assert (found.steps, found.seconds, found.began_at) == (0, 1, DAY)


events = st.lists(
    st.tuples(
        st.floats(-5, 2 * QUIET_SECONDS),
        st.sampled_from(
            [ENDED, TAKEN_UP, SessionPaused("p"), SessionResumed("p"), StageReached("planning"), proposed("a"),
             AgentStarted(TASK, "developer", "m", 1), AgentStopped(TASK, 1, 1, "finished", ""), CREATED]
        ),
    ),
    max_size=20,
)  # fmt: skip


@pytest.mark.req("SES-06")
@given(gaps=events)
def test_time_adds_up_whatever_happens(gaps: list[tuple[float, Event]]) -> None:
    now, moments = 0.0, [(0.0, CREATED)]
    for gap, event in gaps:
        now += gap  # clocks of machines may go back a little
        moments.append((now, event))
    found = stats(*moments)
    assert found.seconds >= 0
    assert found.idle_seconds >= -1e-6
    assert sum(found.stages.values()) == pytest.approx(found.seconds)
    assert all(seconds <= found.seconds * 20 + 1e-6 for seconds in found.agents.values())


@pytest.mark.req("SES-06")
def test_two_sessions_side_by_side() -> None:
    reply = ModelReplied(TASK, 1, 1, "", (), 10, 0, 1_000)
    one, two = stats((0, CREATED), (10, reply)), stats((0, CREATED), (5, reply), (5, reply), (5, reply))
    compared = {change.measure: change for change in compare(one, two)}
    assert (compared["seconds"].ratio, compared["steps"].ratio, compared["cost_usd"].ratio) == (0.5, 3, 3)
    assert compared["rework"].ratio is None  # nothing to divide by
    assert (compared["success"].first, compared["success"].ratio) == (None, None)


@pytest.mark.req("SES-06")
def test_periods() -> None:
    def ended(when: float, seconds: float, end: str) -> SessionStats:
        return stats(
            (when, CREATED),
            (when, proposed("a")),
            (when, ItemMoved("a", "in-progress", "x")),
            (when + seconds, ItemMoved("a", "done" if end == "done" else "blocked", "x")),
            (when + seconds, StageReached(end)),
        )

    new_year = 1_767_225_600.0  # 2026-01-01, a Thursday of week 1
    some = [
        ended(new_year - 10, 4, "done"),
        ended(new_year, 8, "failed"),
        ended(new_year + 40 * DAY, 2, "done"),
    ]
    assert [one.period for one in over_time(some, Span.DAY)] == ["2025-12-31", "2026-01-01", "2026-02-10"]
    assert [one.period for one in over_time(some, Span.MONTH)] == ["2025-12", "2026-01", "2026-02"]
    week, later = over_time(some, Span.WEEK)
    assert (week.period, later.period) == ("2026-W01", "2026-W07")
    assert (week.sessions, week.completed, week.median_seconds, week.done, week.success) == (2, 1, 6, 1, 0.5)
    assert over_time([], Span.DAY) == []
