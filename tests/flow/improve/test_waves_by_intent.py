"""What each item means to touch, and which items are worked side by side because of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.codegraph.base import Definition, FileFacts
from bullpen.domain.finding import Concern, Severity
from bullpen.domain.ids import ItemId
from bullpen.domain.work_item import ItemDraft, ItemState, Priority, WorkItem
from bullpen.flow.improve.intents import Ground, Pair, Wave, choose_wave, declare
from bullpen.flow.items.order import NEAR_LINES, find_dependencies
from bullpen.flow.schedule.intents import Advice, Meeting
from bullpen.recipes.base import Catalogue, catalogue

RECIPES = catalogue()
PATHS = ["a.py", "b.py", "c/d.py"]
FUNCTIONS = {
    path: FileFacts(
        tuple(Definition(f"f{first}", "function", first, first + 19) for first in range(1, 60, 20))
    )
    for path in PATHS
}
GROUND = Ground(FUNCTIONS, {})


def item(name: str, path: str = "a.py", kind: str = "fix", line: int = 1, **more: str) -> WorkItem:
    rule, recipe = more.get("rule", f"ruff:{name}"), more.get("recipe", "")
    draft = ItemDraft(
        *(ItemId(name), kind, name, "why", rule, path, (line,)),
        *(Concern.QA, Severity.LOW, (), (), "", 1, (), recipe),
    )
    return WorkItem(draft, ItemState.READY, Priority(1, 1, 1, 1), 1.0)


def wave(
    items: Sequence[WorkItem],
    size: int = 9,
    ended: frozenset[str] = frozenset(),
    imports: Mapping[str, Sequence[str]] | None = None,
    apart: frozenset[Pair] = frozenset(),
    ground: Ground = GROUND,
) -> Wave:
    candidates = declare(items, ground, RECIPES)
    return choose_wave(candidates, ended, size, imports or {}, apart)


def names(found: Wave) -> list[str]:
    return [one.id for one in found.items]


@pytest.mark.req("WRK-05")
def test_a_wave_holds_what_is_ready_and_apart() -> None:
    first, near = item("first", line=19), item("near", line=19 + NEAR_LINES)
    far, other = item("far", line=41), item("other", "b.py")
    waits = replace(item("waits", "c/d.py"), depends_on=(first.id,))
    items = [first, near, far, other, waits]
    assert names(wave(items)) == ["first", "far", "other"]
    assert names(wave(items, ended=frozenset({"first"}))) == ["first", "far", "other", "waits"]
    assert names(wave(items, 2)) == ["first", "far"]
    assert wave(items, 0) == wave([]) == Wave()


@pytest.mark.req("WRK-05")
@pytest.mark.parametrize("pair", [("first", "other"), ("other", "first")])
def test_those_that_met_in_a_conflict_are_kept_apart(pair: tuple[str, str]) -> None:
    items = [item("first"), item("other", "b.py"), item("third", "c/d.py")]
    found = wave(items, apart=frozenset({(ItemId(pair[0]), ItemId(pair[1]))}))
    assert names(found) == ["first", "third"]
    assert "met in a conflict before" in found.overlaps[0].reason


@pytest.mark.req("COL-08")
def test_an_item_declares_the_symbols_around_its_lines() -> None:
    inner = Definition("Shop.sell", "function", 4, 9)
    ground = Ground({"a.py": FileFacts((Definition("Shop", "class", 2, 30), inner)), "b.rst": None}, {})
    drawn = [item("one", line=6), item("two", line=25), item("three", line=1), item("four", "b.rst", line=3)]
    symbols = [sorted(one.intent.symbols) for one in declare(drawn, ground, RECIPES)]
    assert symbols == [["a.py::Shop.sell"], ["a.py::Shop"], ["a.py::line 1"], ["b.rst::line 3"]]


@pytest.mark.req("COL-08")
def test_an_item_that_writes_tests_declares_the_folder_of_tests_and_not_the_code() -> None:
    gap = item("gap", kind="qa", recipe="characterise-function")
    (declared,) = declare([gap], replace(GROUND, tests="test"), RECIPES)
    assert declared.intent.files == {"test"}
    mend, more = item("mend"), item("more", kind="qa", line=30, recipe="characterise-function")
    elsewhere = item("elsewhere", "b.py", kind="qa", recipe="characterise-function")
    found = wave([gap, mend, more, elsewhere])
    assert names(found) == ["gap", "elsewhere"], "near the code, and in the same file of tests"
    assert [(one.first, one.then, one.advice) for one in found.overlaps] == [
        ("gap", "mend", Advice.ORDER),
        ("gap", "more", Advice.ORDER),
        ("gap", "elsewhere", Advice.WATCH),
    ]


@pytest.mark.req("COL-08")
def test_of_one_symbol_only_one_item_is_in_a_wave_however_far_its_lines() -> None:
    ground = Ground({"a.py": FileFacts((Definition("long", "function", 1, 200),))}, {})
    found = wave([item("top"), item("bottom", line=190)], ground=ground)
    assert names(found) == ["top"]
    (overlap,) = found.overlaps
    assert (overlap.meeting, overlap.advice, overlap.subject) == (
        Meeting.SYMBOL,
        Advice.ORDER,
        "a.py::long",
    )
    assert overlap.reason == "top and bottom both change a.py::long; top goes first"
    assert {one.task for one in found.intents} == {"top", "bottom"}


@pytest.mark.req("COL-08")
def test_neighbours_and_imports_are_watched_and_stay() -> None:
    items = [item("low"), item("beside", line=41), item("high", "b.py")]
    found = wave(items, imports={"b.py": ["a.py"], "a.py": ["b.py"]})
    assert names(found) == ["low", "beside", "high"]
    assert {one.meeting for one in found.overlaps} == {Meeting.NEIGHBOURS, Meeting.IMPORT}
    assert {one.advice for one in found.overlaps} == {Advice.WATCH}


@st.composite
def drawn_items(draw: st.DrawFn) -> list[WorkItem]:
    kinds, rules = ["general", "qa", "architecture"], ["ruff:A1", "ruff:B2"]
    return [
        item(
            f"i{number}",
            draw(st.sampled_from(PATHS)),
            draw(st.sampled_from(kinds)),
            draw(st.integers(1, 70)),
            rule=draw(st.sampled_from(rules)),
        )
        for number in range(draw(st.integers(0, 50)))
    ]


IMPORTS = st.dictionaries(st.sampled_from(PATHS), st.lists(st.sampled_from(PATHS), max_size=3), max_size=3)


@pytest.mark.req("COL-08", "WRK-05")
@given(drawn_items(), IMPORTS, st.integers(1, 9))
def test_waves_work_everything_off_and_keep_apart_what_meets(
    drawn: list[WorkItem], imports: dict[str, list[str]], size: int
) -> None:
    after = find_dependencies(drawn, imports).after
    waiting = [replace(one, depends_on=after[one.id]) for one in drawn]
    ended = frozenset[str]()
    while waiting:
        found = wave(waiting, size, ended, imports)
        assert found == wave(waiting, size, ended, imports)
        assert 1 <= len(found.items) <= size
        symbols = [one.symbols for one in found.intents if one.task in names(found)]
        assert sum(map(len, symbols)) == len(frozenset[str]().union(*symbols))
        for one in found.items:
            assert set(one.depends_on) <= ended
            assert all(_apart(one, other) for other in found.items if other.id != one.id)
        told = [frozenset((one.first, one.then)) for one in found.overlaps]
        assert len(told) == len(set(told))
        assert all(one.reason and one.first in names(found) for one in found.overlaps)
        ended |= set(names(found))
        waiting = [one for one in waiting if one.id not in ended]


def _apart(one: WorkItem, other: WorkItem) -> bool:
    near = min(abs(a - b) for a in one.draft.lines for b in other.draft.lines)
    return one.draft.path != other.draft.path or near > NEAR_LINES


def test_the_catalogue_may_be_empty() -> None:
    assert declare([item("one")], GROUND, Catalogue(()))[0].intent.files == {"a.py"}
