"""Results upward: by rule, with conflicts shown; and groups that end by their policy."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import TaskId
from bullpen.domain.money import Money
from bullpen.domain.task import TaskNode, TaskState
from bullpen.flow.trees.group import GroupPolicy, OnFailure, report, stand
from bullpen.flow.trees.recompose import Rule, recompose
from bullpen.flow.trees.results import TaskResult

DONE, FAILED, RUNNING = TaskState.DONE, TaskState.FAILED, TaskState.RUNNING


def node(name: str, parent: str | None = None, position: int = 0) -> TaskNode:
    return TaskNode(TaskId(name), TaskId(parent) if parent else None, name, "item", "lead", position=position)


def result(name: str, state: TaskState = DONE, **other: object) -> TaskResult:
    return replace(TaskResult(TaskId(name), state), **other)  # type: ignore[arg-type]


TREE = [node("root"), node("a", "root", 1), node("b", "root", 2)]
states = st.lists(st.sampled_from(list(TaskState)), min_size=1, max_size=8)


@pytest.mark.req("TRE-03")
@pytest.mark.parametrize(
    ("rule", "ends", "wanted"),
    [
        (Rule.ALL, (DONE, DONE), DONE),
        (Rule.ALL, (DONE, FAILED), FAILED),
        (Rule.ALL, (FAILED, RUNNING), RUNNING),
        (Rule.ANY, (FAILED, DONE), DONE),
        (Rule.ANY, (DONE, RUNNING), DONE),
        (Rule.ANY, (FAILED, FAILED), FAILED),
        (Rule.BEST_EFFORT, (FAILED, DONE), DONE),
        (Rule.BEST_EFFORT, (FAILED, FAILED), FAILED),
    ],
)
def test_a_parent_ends_by_its_rule(rule: Rule, ends: tuple[TaskState, TaskState], wanted: TaskState) -> None:
    found = recompose(TREE, [result("a", ends[0]), result("b", ends[1])], lambda _: rule)
    assert found[TaskId("root")].result.state is wanted
    assert found[TaskId("root")].reason.endswith(".")


@pytest.mark.req("TRE-03")
def test_changes_sayings_costs_and_times_are_put_together() -> None:
    given_results = [
        result("a", changes={"x": "1"}, says={"s": "yes"}, cost=Money(2), seconds=1.0),
        result("b", changes={"y": "2"}, cost=Money(3), seconds=2.0),
        result("root", changes={"z": "3"}, cost=Money(5)),
    ]
    root = recompose(TREE, given_results)[TaskId("root")].result
    assert (root.changes, root.says) == ({"x": "1", "y": "2", "z": "3"}, {"s": "yes"})
    assert (root.cost, root.seconds) == (Money(10), 3.0)


@pytest.mark.req("TRE-03")
@pytest.mark.parametrize(
    ("field", "word"), [("changes", "left different contents"), ("says", "say different")]
)
def test_a_conflict_is_shown_and_fails_the_parent_until_it_says_what_holds(field: str, word: str) -> None:
    clash = [result("a", **{field: {"x": "1"}}), result("b", **{field: {"x": "2"}})]
    root = recompose(TREE, clash)[TaskId("root")]
    assert root.result.state is FAILED
    assert word in root.reason
    assert root.conflicts[0].tasks == ("a", "b")
    mended = recompose(TREE, [*clash, result("root", **{field: {"x": "both"}})])[TaskId("root")]
    assert (mended.result.state, mended.conflicts) == (DONE, ())
    assert getattr(mended.result, field) == {"x": "both"}
    same = recompose(TREE, [result("a", **{field: {"x": "1"}}), result("b", **{field: {"x": "1"}})])
    assert same[TaskId("root")].result.state is DONE


@pytest.mark.req("TRE-03")
def test_alternatives_give_the_first_that_is_done() -> None:
    both = [result("b", changes={"x": "2"}), result("a", changes={"x": "1"})]
    root = recompose(TREE, both, lambda _: Rule.ANY)[TaskId("root")]
    assert (root.result.changes, root.conflicts) == ({"x": "1"}, ())


@pytest.mark.req("TRE-03")
def test_a_result_nobody_asked_for_and_a_second_answer_are_refused() -> None:
    with pytest.raises(InvalidInput, match="stranger"):
        recompose(TREE, [result("stranger")])
    with pytest.raises(InvalidInput, match="two results"):
        recompose(TREE, [result("a"), result("a", FAILED)])


@pytest.mark.req("TRE-05")
def test_a_tree_ten_thousand_deep_is_recomposed() -> None:
    count = 10_000
    tasks = [node("t0"), *(node(f"t{n}", f"t{n - 1}") for n in range(1, count))]
    found = recompose(tasks, [result(f"t{count - 1}", changes={"x": "1"})])
    assert found[TaskId("t0")].result.changes == {"x": "1"}


def members(ends: list[TaskState]) -> list[TaskResult]:
    return [result(f"t{n}", state) for n, state in enumerate(ends)]


@pytest.mark.req("COL-06")
@pytest.mark.parametrize(
    ("policy", "ends", "wanted", "cancelled"),
    [
        (GroupPolicy(OnFailure.FAIL_FAST), [DONE, FAILED, RUNNING], FAILED, 1),
        (GroupPolicy(OnFailure.FAIL_FAST), [DONE, DONE], DONE, 0),
        (GroupPolicy(OnFailure.BEST_EFFORT), [DONE, FAILED, RUNNING], RUNNING, 0),
        (GroupPolicy(OnFailure.BEST_EFFORT), [DONE, FAILED, FAILED], DONE, 0),
        (GroupPolicy(OnFailure.BEST_EFFORT), [FAILED, FAILED], FAILED, 0),
        (GroupPolicy(OnFailure.QUORUM, 2 / 3), [DONE, DONE, RUNNING], DONE, 1),
        (GroupPolicy(OnFailure.QUORUM, 2 / 3), [FAILED, FAILED, RUNNING], FAILED, 1),
        (GroupPolicy(OnFailure.QUORUM, 2 / 3), [DONE, FAILED, RUNNING], RUNNING, 0),
        (GroupPolicy(), [], DONE, 0),
    ],
)
def test_a_group_stands_by_its_policy(
    policy: GroupPolicy, ends: list[TaskState], wanted: TaskState, cancelled: int
) -> None:
    found = stand(policy, members(ends))
    assert (found.state, len(found.cancel)) == (wanted, cancelled)


@pytest.mark.req("COL-06")
@given(st.sampled_from(list(OnFailure)), st.floats(0.01, 1), states)
def test_a_group_always_ends_and_cancels_only_what_has_not_ended(
    kind: OnFailure, share: float, ends: list[TaskState]
) -> None:
    found = stand(GroupPolicy(kind, share), members(ends))
    unended = {f"t{n}" for n, state in enumerate(ends) if not state.is_final}
    assert set(found.cancel) <= unended
    assert found.state.is_final or unended
    if found.state.is_final:
        assert set(found.cancel) == unended
        later = [TaskState.CANCELLED if not state.is_final else state for state in ends]
        assert stand(GroupPolicy(kind, share), members(later)).state is found.state


@pytest.mark.req("COL-06")
def test_the_final_report_says_what_was_done_what_not_and_where_results_clash() -> None:
    ended = [
        result("a", changes={"x": "1"}, cost=Money(1_500_000), seconds=30.0),
        result("b", changes={"x": "2"}, seconds=12.0),
        result("c", FAILED, note="tests red"),
    ]
    found = report(GroupPolicy(), ended)
    assert found.lines == (
        "2 of 3 are done.",
        "2 done, 1 not, $1.50, 42 s of work.",
        "c failed: tests red",
        "Conflict: a and b left different contents in 'x'.",
    )


@pytest.mark.req("COL-06")
@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_a_quorum_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(InvalidInput):
        GroupPolicy(OnFailure.QUORUM, share)
