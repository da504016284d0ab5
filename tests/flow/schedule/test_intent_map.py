"""The intent map: overlaps are seen before any edit, and each has an advice with its reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import LimitExceeded
from bullpen.domain.ids import TaskId
from bullpen.flow.schedule.intents import Advice, Intent, IntentPlan, Meeting, plan_intents

FILES = ("a.py", "b.py", "c.py")


def intent(task: str, files: str = "", symbols: str = "", aim: str = "", priority: int = 0) -> Intent:
    return Intent(
        TaskId(task), f"agent-{task}", frozenset(files.split()), frozenset(symbols.split()), aim, priority
    )


def only(plan: IntentPlan) -> tuple[str, str, Meeting, Advice]:
    assert len(plan.overlaps) == 1, plan.overlaps
    one = plan.overlaps[0]
    return one.first, one.then, one.meeting, one.advice


@pytest.mark.req("COL-08")
@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        (intent("t", "a.py"), intent("u", "a.py"), ("t", "u", Meeting.FILE, Advice.ORDER)),
        (intent("t", "a.py"), intent("u", "a.py", priority=2), ("u", "t", Meeting.FILE, Advice.ORDER)),
        (intent("t", "a.py"), intent("u", "", "a.py::f"), ("t", "u", Meeting.FILE, Advice.ORDER)),
        (
            intent("t", "", "a.py::g"),
            intent("u", "", "a.py::f"),
            ("t", "u", Meeting.NEIGHBOURS, Advice.WATCH),
        ),
        (
            intent("t", "", "a.py::f", "F401"),
            intent("u", "", "a.py::f", "F401"),
            ("t", "u", Meeting.SYMBOL, Advice.MERGE),
        ),
        (
            intent("t", "", "a.py::f", "F401"),
            intent("u", "", "a.py::f", "C901"),
            ("t", "u", Meeting.SYMBOL, Advice.ASK),
        ),
        (
            intent("t", "", "a.py::f", "F401"),
            intent("u", "", "a.py::f", "C901", 1),
            ("u", "t", Meeting.SYMBOL, Advice.ORDER),
        ),
        (intent("t", "a.py"), intent("u", "b.py"), ("u", "t", Meeting.IMPORT, Advice.ORDER)),
    ],
)
def test_each_way_of_meeting_has_its_advice(
    one: Intent, other: Intent, wanted: tuple[str, str, Meeting, Advice]
) -> None:
    imports = {"a.py": ["b.py", "elsewhere.py", "a.py"]}
    assert only(plan_intents([one, other], imports)) == wanted
    assert only(plan_intents([other, one], imports)) == wanted


@pytest.mark.req("COL-08")
def test_intents_far_from_each_other_and_those_of_one_agent_do_not_meet() -> None:
    assert plan_intents([intent("t", "a.py"), intent("u", "c.py")], {"a.py": ["b.py"]}).overlaps == ()
    mine = [Intent(TaskId(name), "same", frozenset({"a.py"})) for name in ("t", "u")]
    assert plan_intents(mine, {}).overlaps == ()


@pytest.mark.req("COL-08")
def test_imports_both_ways_and_circles_of_three_become_questions() -> None:
    both = plan_intents([intent("t", "a.py"), intent("u", "b.py")], {"a.py": ["b.py"], "b.py": ["a.py"]})
    assert only(both)[3] is Advice.ASK
    assert both.after == {}
    ring = {"a.py": ["b.py"], "b.py": ["c.py"], "c.py": ["a.py"]}
    three = plan_intents([intent(f"t{n}", path) for n, path in enumerate(FILES)], ring)
    assert [one.advice for one in three.overlaps].count(Advice.ASK) == 1
    assert "is a circle" in three.questions[0].reason
    assert len(three.after) == 2


@pytest.mark.req("COL-08")
def test_merged_tasks_form_one_group() -> None:
    plan = plan_intents([intent(name, "a.py", aim="F401") for name in ("t", "u", "v")], {})
    assert plan.groups == (("t", "u", "v"),)


@pytest.mark.req("COL-08")
def test_declaring_twice_unites_and_never_narrows() -> None:
    whole, part = intent("t", "a.py"), intent("t", "", "a.py::f")
    other = intent("u", "", "a.py::g")
    for order in ([whole, part], [part, whole]):
        assert only(plan_intents([*order, other], {}))[2] is Meeting.FILE
    assert only(plan_intents([part, part, other], {}))[2] is Meeting.NEIGHBOURS


intents = st.lists(
    st.builds(
        intent,
        st.sampled_from([f"t{n}" for n in range(5)]),
        st.sets(st.sampled_from(FILES)).map(" ".join),
        st.sets(st.sampled_from([f"{path}::{name}" for path in FILES for name in "fg"])).map(" ".join),
        st.sampled_from(["", "F401", "C901"]),
        st.integers(0, 2),
    ),
    max_size=6,
)


@pytest.mark.req("COL-08")
@given(intents, st.dictionaries(st.sampled_from(FILES), st.lists(st.sampled_from(FILES), max_size=3)))
def test_all_that_share_a_file_are_found_the_order_has_no_circle_and_does_not_depend_on_the_list(
    declared: list[Intent], imports: dict[str, list[str]]
) -> None:
    plan = plan_intents(declared, imports)
    assert plan == plan_intents(declared[::-1], imports)
    touched: dict[str, set[str]] = {}
    for one in declared:
        touched.setdefault(one.task, set()).update(one.files, (s.partition("::")[0] for s in one.symbols))
    pairs = {frozenset({one.first, one.then}) for one in plan.overlaps}
    for t, mine in touched.items():
        for u, theirs in touched.items():
            if t < u and mine & theirs:
                assert frozenset({t, u}) in pairs
    left = dict(plan.after)
    while free := [task for task, before in left.items() if not set(before) & left.keys()]:
        for task in free:
            del left[task]
    assert not left
    assert all(one.reason and one.first != one.then for one in plan.overlaps)


@pytest.mark.req("COL-08")
def test_a_flood_of_intents_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        plan_intents([intent(f"t{n}", "a.py") for n in range(500)], {})
