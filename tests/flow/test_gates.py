"""Gates: conditions as data, commands, and a project's own, which may only be stricter."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import InvalidInput
from bullpen.flow.gates import DEFAULT_GATES, Gate, Measured, evaluate, parse_gates, with_project_gates
from bullpen.flow.improve.command_gates import run_command_gates
from bullpen.sandbox.base import Command, End, Limits, Outcome

pytestmark = pytest.mark.req("WFL-04")


def passed(text: str, **measured: Measured) -> list[bool]:
    return [result.passed for result in evaluate(parse_gates(text), measured, {})]


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        ('">=85%"', 0.85, True),
        ('">=85%"', 0.84, False),
        ('"<500ms"', 0.4, True),
        ('"<500ms"', 0.5, False),
        ('"<=2GB"', 2e9, True),
        ("true", True, True),
        ("true", False, False),
        ('"==0"', 0, True),
        ('"!=3"', 3, False),
        ("accept", "accept", True),
        ("accept", "revise", False),
        ("{exit_status: 0}", 0, True),
        ("{exit_status: 0}", 1, False),
        ('">=85%"', "many", False),
    ],
)
def test_conditions(condition: str, value: Measured, expected: bool) -> None:
    assert passed(f"x: {condition}", x=value) == [expected]


def test_what_was_not_measured_has_failed_and_says_so() -> None:
    (result,) = evaluate(parse_gates("coverage: '>=85%'"), {}, {"coverage": "the run ended: killed"})
    assert (result.passed, result.evidence) == (False, "the run ended: killed")
    (result,) = evaluate(parse_gates("coverage: '>=85%'"), {}, {})
    assert "not measured" in result.evidence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: true\nb: '>= lots of'\n", "gates.yaml, line 2, column 1: the condition of 'b'"),
        ("a: [1\n", "gates.yaml, line 2, column 1: this is not YAML"),
        ("- a\n", "gates.yaml, line 1, column 1: gates are written as"),
        ("a: true\n\na: false\n", "gates.yaml, line 3, column 1: the gate 'a' is there twice"),
        ("a: true\nb: {command: 'make \"'}\n", "gates.yaml, line 2, column 1: the command of 'b'"),
        ("b: {command: make, retries: 3}\n", "gates.yaml, line 1, column 1: the condition of 'b'"),
        ("b: {command: ''}\n", "line 1"),
        ("b: {exit_status: yes}\n", "line 1"),
        ("b:\n", "line 1"),
    ],
)
def test_errors_name_file_and_line(text: str, words: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_gates(text, "gates.yaml")
    assert words in raised.value.sentence


def test_a_project_may_add_gates_and_tighten_those_there_are() -> None:
    built_in = parse_gates("new_findings: '==0'\ncoverage: '>=50%'\n")
    own = with_project_gates(
        built_in, "mutation_score: '>=60%'\ncoverage: '>=80%'\nlint: {command: make lint}\n"
    )
    assert own.notes == ()
    assert own.gates[:2] == built_in
    assert Gate("lint", "==", 0, ("make", "lint")) in own.gates
    results = evaluate(own.gates, {"coverage": 0.7, "new_findings": 0, "mutation_score": 1.0, "lint": 0}, {})
    assert [result.name for result in results if not result.passed] == ["coverage"]


@pytest.mark.parametrize(
    "relaxed",
    [
        "new_findings: '<5'",
        "new_findings: {command: 'true'}",
        "finding_gone: false",
        "guards_broken: '>=0'",
        "style_kept: maybe",
    ],
)
def test_a_built_in_gate_cannot_be_relaxed(relaxed: str) -> None:
    built_in = parse_gates(DEFAULT_GATES)
    own = with_project_gates(built_in, relaxed)
    assert own.gates == built_in
    assert relaxed.split(":", maxsplit=1)[0] in own.notes[0]
    assert "may not be relaxed" in own.notes[0]


NUMBERS = st.sampled_from([0, 0.25, 0.5, 1])
CONDITIONS = st.tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS)


@given(CONDITIONS, CONDITIONS, st.lists(NUMBERS | st.sampled_from([-1, 0.3, 2]), min_size=1))
def test_no_project_file_lets_more_through(
    mine: tuple[str, float], theirs: tuple[str, float], values: list[float]
) -> None:
    built_in = parse_gates(f"x: '{mine[0]}{mine[1]}'")
    own = with_project_gates(built_in, f"x: '{theirs[0]}{theirs[1]}'").gates
    for value in values:
        before = all(one.passed for one in evaluate(built_in, {"x": value}, {}))
        after = all(one.passed for one in evaluate(own, {"x": value}, {}))
        assert before or not after
        if len(own) == 2:
            theirs_alone = evaluate(own[1:], {"x": value}, {})[0].passed
            assert before or not theirs_alone


class Recorded:
    """A sandbox that answers by the name of the program."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    async def run(self, command: Command, on_output: object = None) -> Outcome:
        self.commands.append(command)
        status = {"good": 0, "bad": 2}.get(command.argv[0])
        end = End.EXITED if status is not None else End.TIMEOUT
        return Outcome(command.argv, end, status, b"said " + command.argv[0].encode(), b"", 0.1, 0.1, 0)


async def test_commands_are_run_on_the_checkout_and_kept_as_evidence(tmp_path: Path) -> None:
    gates = parse_gates(
        "a: {command: good 'x y'}\nb: {command: bad, exit_status: 0}\nc: {command: slow}\nd: true\n"
    )
    sandbox = Recorded()
    run = await run_command_gates(gates, tmp_path, sandbox, Limits())
    assert [command.argv for command in sandbox.commands] == [("good", "x y"), ("bad",), ("slow",)]
    assert all(command.workspace == tmp_path for command in sandbox.commands)
    results = {one.name: one for one in evaluate(gates, {**run.measured, "d": True}, run.notes)}
    assert [results[name].passed for name in "abcd"] == [True, False, False, True]
    assert "said bad" in results["b"].evidence
    assert "did not come to an end: timeout" in results["c"].evidence
    assert [one.exit_status for one in run.evidence] == [0, 2, None]
