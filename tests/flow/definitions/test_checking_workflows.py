"""Checking workflow files: any graph of steps either runs in an order its needs allow, or is refused with a reason."""

from itertools import pairwise

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import BullpenError, InvalidInput
from bullpen.domain.session import STAGES, Stage
from bullpen.flow.definitions.advance import next_wave, sent_back, to_undo
from bullpen.flow.definitions.base import KINDS, StepResult, StepState
from bullpen.flow.definitions.check import faults_of, read_definition
from bullpen.flow.definitions.library import built_in_sources, sources_by_name, with_children
from bullpen.flow.definitions.model import Source, parse_duration
from bullpen.flow.definitions.records import State
from bullpen.flow.definitions.run import way

pytestmark = pytest.mark.req("WFL-02")
NAMES = [f"s{number}" for number in range(8)]


def source(text: str, name: str = "x") -> Source:
    return Source(name, f"{name}.yaml", text)


def written(steps: object, **more: object) -> str:
    return yaml.safe_dump({"name": "x", "version": 1, **more, "steps": steps})


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, object]]:
    """Steps whose needs may be unknown, lead in circles, or make sense."""
    ids = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8))
    return [
        {
            "id": name,
            "kind": "note",
            "with": {"text": name},
            "needs": draw(st.lists(st.sampled_from(NAMES), max_size=3)),
            "when": draw(st.sampled_from(["", "always()", "failure()", "1 == 2", "success() && 1 == 1"])),
        }
        for name in ids
    ]


def on_a_circle(steps: list[dict[str, object]]) -> bool:
    """Worked out by taking away what needs nothing any more."""
    left = {str(one["id"]): set(map(str, one["needs"])) for one in steps}  # type: ignore[call-overload]
    while free := {name for name, needs in left.items() if not needs & left.keys()}:
        left = {name: needs for name, needs in left.items() if name not in free}
    return bool(left)


@given(graphs())
def test_any_graph_runs_in_order_or_is_refused_with_a_reason(steps: list[dict[str, object]]) -> None:
    text = written(steps)
    ids = [str(one["id"]) for one in steps]
    unknown = {str(need) for one in steps for need in one["needs"]} - set(ids)  # type: ignore[attr-defined]
    never = any(one["when"] == "1 == 2" for one in steps)
    unsound = len(set(ids)) < len(ids) or bool(unknown) or on_a_circle(steps) or never
    faults = faults_of(source(text))
    assert bool(faults) == unsound
    if faults:
        lines = text.split("\n")
        assert all(one.sentence and 1 <= one.line <= len(lines) for one in faults)
        with pytest.raises(InvalidInput, match=r"x\.yaml, line \d+, column \d+: "):
            read_definition(source(text))
        return
    definition = read_definition(source(text))
    state, order = State(), list[str]()
    while True:
        state, wave = next_wave(definition, {}, state)
        if not wave:
            break
        for step in wave:
            assert set(step.needs) <= set(state.results)
            order.append(step.id)
        state = state.with_results({step.id: StepResult(StepState.DONE) for step in wave})
    assert set(state.results) == set(ids)
    assert set(order) == {str(one["id"]) for one in steps if one["when"] != "failure()"}
    assert [one.id for one in to_undo(definition, state)] == []


@given(st.text(max_size=200) | graphs().map(yaml.safe_dump))
def test_any_text_is_read_or_refused(text: str) -> None:
    refused: BullpenError | None = None
    try:
        read_definition(source(text))
    except BullpenError as error:
        refused = error
    assert refused is None or refused.sentence.startswith("x.yaml")


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("[{id: a, kind: comand}]", "there is no kind of step 'comand'"),
        ("[{id: a, kind: command, with: {run: 'echo ${{ params.x }}'}}]", "a shell's text is not filled in"),
        ("[{id: a, kind: command, with: {argv: [x], run: y}}]", "name either argv"),
        ("[{id: a, kind: command, with: {argv: x}}]", "valid tuple"),
        ("[{id: a, kind: command, with: {run: x, folder: ../..}}]", "below the checkout"),
        ("[{id: a, kind: sleep, with: {}}]", "name either for"),
        ("[{id: a, kind: sleep, with: {until: someday}}]", "Invalid isoformat"),
        ("[{id: a, kind: sleep, with: {for: 3 parsecs}}]", "is no duration"),
        ("[{id: a, kind: agent, with: {role: wizard, text: x}}]", "there is no role 'wizard'"),
        ("[{id: a, kind: note, with: {text: '${{ params.x }}'}}]", "has no param 'x'"),
        ("[{id: a, kind: note, with: {text: '${{ 1 + }}'}}]", "cannot be read"),
        ("[{id: a, kind: note, with: {text: '${{ steps.b.ok }}'}}, {id: b, kind: note, with: {text: b}}]", "name it in its needs"),
        ("[{id: a, kind: note, with: {text: x}, gate: {x: '=>3'}}]", "condition of 'x' cannot be read"),
        ("[{id: a, kind: note, with: {text: x}, gate: {x: {command: ls}}}]", "a step of its own"),
        ("[{id: a, kind: note, with: {text: x}, send_back: {to: b}}]", "cannot send back to 'b'"),
        ("[{id: a, kind: note, with: {text: x}, retry: {tries: 0}}]", "retry.tries"),
        ("[{id: a, kind: note, with: {text: x}, on_failure: [{kind: approval, with: {question: x}}]}]", "cannot take anything back"),
        ("[{id: a, kind: note, with: {text: x}, ned: [b]}]", "'ned' is not known here"),
        ("[{id: a, kind: note, with: {text: x}, needs: [c]}, {id: c, kind: note, needs: [a], with: {text: x}}, {id: d, kind: note, needs: [c], with: {text: x}}]", "can never be reached"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_place(steps: str, said: str) -> None:
    faults = faults_of(source(f"name: x\nversion: 1\nsteps: {steps}\n"))
    assert [one for one in faults if said.lower() in one.sentence.lower() and one.line == 3], faults


def test_workflows_that_start_each_other_are_refused() -> None:
    def calling(name: str, other: str) -> Source:
        text = f"name: {name}\nversion: 1\nsteps: [{{id: a, kind: workflow, with: {{name: {other}}}}}]\n"
        return source(text, name)

    known = sources_by_name([calling("a", "b"), calling("b", "a")])
    with pytest.raises(InvalidInput, match="a → b → a"):
        with_children(known, "a")


def test_every_built_in_workflow_is_sound_and_every_kind_says_what_it_is() -> None:
    assert {read_definition(one).name for one in built_in_sources()} >= {"default"}
    assert {"command", "agent", "approval", "sleep", "gate", "workflow", "note"} <= set(KINDS.names())
    assert all(KINDS.summary(name) for name in KINDS.names())


def test_only_so_often_is_work_sent_back() -> None:
    steps = [
        {"id": "a", "kind": "note", "with": {"text": "a"}},
        {"id": "b", "kind": "gate", "needs": ["a"], "gate": {"x": True}, "send_back": {"to": "a", "most": 2}},
    ]
    definition = read_definition(source(written(steps)))
    state, rounds = State(), 0
    while rounds < 10:
        failed = {"a": StepResult(StepState.DONE), "b": StepResult(StepState.FAILED, reason="x is missing")}
        state, back = sent_back(definition, state.with_results(failed))
        if not back:
            break
        assert (state.missing, dict(state.results)) == ("x is missing", {})
        rounds += 1
    assert rounds == 2


@given(st.sampled_from(Stage), st.sampled_from(Stage))
def test_stages_are_gone_through_as_they_allow(here: Stage, there: Stage) -> None:
    found = way(here, there)
    for before, after in pairwise((here, *found)):
        assert after in STAGES[before]
    assert not any(one.is_final for one in found[:-1])
    assert not found or found[-1] is there


@pytest.mark.parametrize("here", [one for one in Stage if one not in (Stage.DONE, Stage.CANCELLED)])
def test_every_stage_leads_to_the_end(here: Stage) -> None:
    assert way(here, Stage.DONE)[-1] is Stage.DONE


def test_nothing_follows_a_cancelled_session() -> None:
    assert not any(way(Stage.CANCELLED, one) for one in Stage)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", None), ("90s", 90), ("1.5h", 5400), ("3d", 259_200), (5, 5)]
)
def test_durations(text: str, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="no duration"):
            parse_duration(text)
    else:
        assert parse_duration(text) == seconds
