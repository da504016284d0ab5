"""What comes before what, and how cycles are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.finding import Concern, Severity
from bullpen.domain.ids import ItemId
from bullpen.domain.work_item import ItemDraft, ItemState, Priority, WorkItem
from bullpen.flow.items.order import BrokenEdge, find_dependencies

pytestmark = pytest.mark.req("WRK-04")


def item(name: str, path: str = "a.py", kind: str = "fix", line: int = 1, score: float = 1.0) -> WorkItem:
    draft = ItemDraft(
        ItemId(name), kind, name, "why", "rule", path, (line,), Concern.QA, Severity.LOW, (), (), "", 1, ()
    )
    return WorkItem(draft, ItemState.READY, Priority(score, 1, 1, 1), 1.0)


def test_tests_come_before_deep_changes_and_those_after_small_ones() -> None:
    tests, small, deep = item("t", kind="qa"), item("s"), item("d", kind="architecture")
    elsewhere = item("e", "b.py")
    order = find_dependencies([deep, small, tests, elsewhere], {})
    assert order.after == {"d": ("s", "t"), "s": (), "t": (), "e": ()}
    assert order.broken == ()


def test_a_deep_change_waits_for_what_its_file_imports() -> None:
    deep, imported, importer = item("d", kind="architecture"), item("i", "b.py"), item("o", "c.py")
    imports = {"a.py": ["b.py", "a.py", "gone.py"], "c.py": ["a.py"]}
    assert find_dependencies([deep, imported, importer], imports).after == {"d": ("i",), "i": (), "o": ()}


def test_of_a_cycle_the_most_urgent_goes_first() -> None:
    one = item("one", "a.py", "architecture", score=1)
    two = item("two", "b.py", "architecture", score=2)
    order = find_dependencies([one, two], {"a.py": ["b.py"], "b.py": ["a.py"]})
    assert order.after == {"one": ("two",), "two": ()}
    reason = "one → two wait for each other; the most urgent of them goes first"
    assert order.broken == (BrokenEdge(ItemId("two"), ItemId("one"), reason),)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["fix", "qa", "architecture"]), st.integers(0, 9))),
    st.dictionaries(st.integers(0, 5), st.lists(st.integers(0, 5), max_size=4)),
)
def test_there_is_never_a_cycle_left(
    drawn: list[tuple[int, str, int]], imports: dict[int, list[int]]
) -> None:
    items = [item(f"i{n}", f"{path}.py", kind, score=score) for n, (path, kind, score) in enumerate(drawn)]
    edges = {f"{path}.py": [f"{one}.py" for one in others] for path, others in imports.items()}
    order = find_dependencies(items, edges)
    ended: set[str] = set()
    while ready := [name for name, waits in order.after.items() if name not in ended and set(waits) <= ended]:
        ended.update(ready)
    assert ended == {one.id for one in items} == set(order.after)
    assert all(edge.no_longer_after not in order.after[edge.item] for edge in order.broken)
