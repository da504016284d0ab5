"""Runs that go nowhere are seen, those that go somewhere are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.agents.base import Ending
from bullpen.agents.stuck import Patience, Sighting, Watch, call_seen
from bullpen.models.base import ToolCall, ToolResult


def seen(tool: str, answer: str = "same", *, ok: bool = True, writes: bool = False, arguments: str = "{}"):
    return call_seen(ToolCall("c", tool, arguments), ToolResult("c", tool, answer, ok), writes=writes)


def watch(*steps: list, patience: Patience | None = None) -> list[Sighting | None]:
    one = Watch(patience or Patience())
    return [one.step(calls) for calls in steps]


@pytest.mark.req("AGT-13")
def test_the_same_call_with_the_same_answer_is_a_loop() -> None:
    *before, last = watch(*[[seen("read_file")]] * 3)
    assert before == [None, None]
    assert last == Sighting(Ending.LOOPING, "The same read_file was called 3 times with the same answer.")


@pytest.mark.req("AGT-13")
def test_taking_turns_is_a_loop_too() -> None:
    said = watch(*[[seen("read_file")], [seen("git_status")]] * 3)
    assert [one.ending for one in said if one] == [Ending.LOOPING] * 2
    assert said[:4] == [None] * 4


@pytest.mark.req("AGT-13")
def test_the_same_failing_patch_twice_is_enough() -> None:
    failing = seen("apply_patch", "does not fit", ok=False, writes=True)
    first, second = watch([failing], [failing])
    assert first is None
    assert second == Sighting(Ending.LOOPING, "The same apply_patch failed 2 times in the same way.")


@pytest.mark.req("AGT-13")
def test_replies_without_calls_are_idle() -> None:
    assert watch([], []) == [None, Sighting(Ending.IDLE, "2 replies in a row called no tool.")]
    assert watch([], [seen("note")], []) == [None, None, None]


@pytest.mark.req("AGT-13")
def test_many_steps_without_anything_new_are_stuck() -> None:
    patient = Patience(repeats=99, without_progress=5)
    *before, last = watch(*[[seen("read_file")], [seen("git_log")]] * 3, [seen("git_log")], patience=patient)
    assert before == [None] * 6
    assert last == Sighting(Ending.STUCK, "5 steps brought nothing new (tools: git_log, read_file).")


def test_the_same_question_after_a_change_is_no_loop() -> None:
    steps = [
        step
        for number in range(6)
        for step in ([seen("edit_file", f"diff {number}", writes=True)], [seen("run_tests", "1 fails")])
    ]
    assert watch(*steps) == [None] * 12


def test_changing_to_and_fro_is_a_loop() -> None:
    one = seen("edit_file", "a to b", writes=True, arguments="1")
    other = seen("edit_file", "b to a", writes=True, arguments="2")
    assert next(found.ending for found in watch(*[[one], [other]] * 3) if found) is Ending.LOOPING


@given(st.integers(1, 400))
def test_a_run_that_sees_new_things_is_left_alone(steps: int) -> None:
    assert watch(*[[seen("read_file", f"line {number}")] for number in range(steps)]) == [None] * steps


@given(
    st.lists(
        st.lists(st.builds(seen, st.sampled_from("abc"), st.sampled_from("xy")), max_size=3), max_size=60
    )
)
def test_what_is_kept_is_bounded(steps: list[list]) -> None:
    one = Watch()
    for calls in steps:
        one.step(calls)
    assert len(one._recent) <= 2 * one.patience.without_progress
    assert sum(one._times.values()) == len(one._recent)
