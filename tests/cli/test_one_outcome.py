"""The terminal and the reports say the same of an item, whatever its history was."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.cli.outcome import outcome_of as told
from bullpen.cli.progress import Progress, fold
from bullpen.domain.events.session import SessionCreated
from bullpen.domain.events.work import ItemMoved, ItemProposed
from bullpen.domain.finding import Concern, Severity
from bullpen.domain.ids import ItemId, SessionId
from bullpen.domain.work_item import TRANSITIONS, ItemDraft, ItemState, ItemStep, Priority, WorkItem
from bullpen.flow.items.outcome import Outcome
from bullpen.flow.items.reasons import AT_ODDS, BEYOND, MENDED, REFUSED_BEFORE
from bullpen.flow.reports.story import outcome_of
from bullpen.kernel.bus.log import Recorded

if TYPE_CHECKING:
    from bullpen.domain.events import Event

GROUPS = {
    "done": {Outcome.LANDED},
    "failed": {Outcome.FAILED},
    "waiting": {Outcome.NEEDS_APPROVAL},
    "skipped": {Outcome.NOT_NEEDED, Outcome.TURNED_DOWN, Outcome.ILL_DEFINED},
}


@st.composite
def histories(draw: st.DrawFn) -> list[ItemState]:
    states = [
        draw(st.sampled_from([ItemState.PROPOSED, ItemState.READY, ItemState.BLOCKED, ItemState.REJECTED]))
    ]
    for _ in range(draw(st.integers(0, 6))):
        states.append(draw(st.sampled_from(sorted(TRANSITIONS[states[-1]]))))
    return states


@pytest.mark.req("IMP-03", "CLI-01")
@given(
    histories(),
    st.sampled_from(["", "why", BEYOND, MENDED, REFUSED_BEFORE + "x", AT_ODDS + "x"]),
    st.sampled_from(["", "tidy"]),
)
def test_records_and_events_tell_the_same_outcome(states: list[ItemState], reason: str, recipe: str) -> None:
    draft = ItemDraft(
        id=ItemId("i"),
        kind="general",
        title="Tidy",
        why="",
        rule="ruff:F401",
        path="a.py",
        lines=(1,),
        concern=Concern.QA,
        severity=Severity.LOW,
        evidence=(),
        acceptance=(),
        proof="",
        effort_minutes=1,
        fingerprints=("f",),
        recipe=recipe,
    )
    item = WorkItem(
        draft,
        states[-1],
        Priority(1, 1, 1, 1),
        1.0,
        reason=reason,
        history=tuple(ItemStep(0.0, "person", state) for state in states),
    )
    events: list[Event] = [
        SessionCreated("improve", "", "p", ""),
        ItemProposed("i", "Tidy", "ruff:F401", "a.py", 1, 1.0, 1.0, recipe, states[0]),
        *(ItemMoved("i", state, "person", reason) for state in states),
    ]
    state = fold(
        Progress(),
        [Recorded(number, SessionId("s"), 0.0, "person", one) for number, one in enumerate(events, 1)],
    )
    outcome = told(state)
    groups = {name: getattr(outcome, name).count for name in ("done", "failed", "skipped", "waiting", "left")}
    ended = outcome_of(item)
    expected = next((name for name, ends in GROUPS.items() if ended in ends), "left")
    assert groups == {name: int(name == expected) for name in groups}
