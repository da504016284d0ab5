"""Items after the same aim at one place are seen, and one of them is ahead."""

import pytest

from bullpen.domain.finding import Concern, Severity
from bullpen.domain.ids import ItemId
from bullpen.domain.work_item import ItemDraft, ItemState, Priority, WorkItem
from bullpen.flow.consensus.conflicts import ConflictKind
from bullpen.flow.disagreements.duplicates import aim_of, same_work

pytestmark = pytest.mark.req("COL-03")


def item(
    name: str, rule: str, *lines: int, score: float = 1.0, state: ItemState = ItemState.READY
) -> WorkItem:
    draft = ItemDraft(
        ItemId(name), "qa", name, "why", rule, "a.py", lines, Concern.QA, Severity.LOW, (), (), "", 1, ()
    )
    return WorkItem(draft, state, Priority(score, 1, 1, 1), 1.0)


def test_who_can_be_worked_on_is_ahead_then_who_is_more_urgent() -> None:
    proposed = item("proposed", "ruff:B011", 3, score=9, state=ItemState.PROPOSED)
    ready = item("ready", "ruff:S101", 3, 8)
    (found,) = same_work([proposed, ready])
    assert found.conflict.kind is ConflictKind.DUPLICATE
    assert (found.winners, found.others) == (("ready",), ("proposed",))
    assert found.conflict.subject == "a.py:3: raise AssertionError"
    (urgent,) = same_work([item("calm", "ruff:F841", 1), item("urgent", "ruff:RUF059", 1, score=2)])
    assert urgent.winners == ("urgent",)


def test_other_lines_and_other_aims_are_other_work() -> None:
    assert same_work([item("one", "ruff:B011", 3), item("two", "ruff:S101", 4)]) == []
    assert same_work([item("one", "ruff:B011", 3), item("two", "ruff:F841", 3)]) == []
    assert aim_of("ruff:F401") == ""
