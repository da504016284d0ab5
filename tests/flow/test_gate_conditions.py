"""Gates: how conditions are read, and that what cannot be evaluated has failed."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import InvalidInput
from bullpen.domain.verdict import GateResult
from bullpen.flow.gates import DEFAULT_GATES, Gate, evaluate, parse_gates, read_gates

pytestmark = pytest.mark.req("WFL-04")


@pytest.mark.parametrize(
    ("condition", "comparison", "wanted"),
    [
        ('">=85%"', ">=", 0.85), ('"<500ms"', "<", 0.5), ('"== 0"', "==", 0.0), ('"!=-1.5"', "!=", -1.5),
        ('">2 min"', ">", 120.0), ('"<=3KB"', "<=", 3000.0), ('"<=3mb"', "<=", 3e6), ('"<1gb"', "<", 1e9),
        ('"<2s"', "<", 2.0), ("true", "==", True), ("3", "==", 3), ("0.5", "==", 0.5), ("green", "==", "green"),
        ("{exit_status: 3}", "==", 3),
    ],
)  # fmt: skip
def test_conditions(condition: str, comparison: str, wanted: object) -> None:
    (gate,) = parse_gates(f"x: {condition}")
    assert gate == Gate("x", comparison, wanted)
    assert type(gate.wanted) is type(wanted)


@pytest.mark.parametrize(
    "condition",
    [
        '">=85 furlongs"',
        '"=> 3"',
        '"two words"',
        "[1]",
        "{exit_status: x}",
        "{other: 1}",
        "null",
        '""',
        '">="',
    ],
)
def test_what_is_no_condition_is_named(condition: str) -> None:
    with pytest.raises(
        InvalidInput, match=r"here, line 1, column 1: the condition of 'x' cannot be read"
    ) as refused:
        parse_gates(f"x: {condition}", "here")
    assert ">=85%" in refused.value.remedy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: [", r"gates, line [23], column \d+: this is not YAML"),
        ("- a", "NAME: CONDITION"),
        ("words", "NAME: CONDITION"),
    ],
)
def test_what_is_no_gate_file(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        parse_gates(text)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text(DEFAULT_GATES)
    assert read_gates(tmp_path / "gates.yaml") == parse_gates(DEFAULT_GATES)
    assert len(parse_gates(DEFAULT_GATES)) == len(DEFAULT_GATES.splitlines())
    assert parse_gates("") == ()
    (tmp_path / "gates.yaml").write_text("- a")
    with pytest.raises(InvalidInput, match=r"gates\.yaml"):
        read_gates(tmp_path / "gates.yaml")


@pytest.mark.parametrize(
    ("condition", "value", "passed", "words"),
    [
        (">=85%", 0.85, True, "0.85 meets >= 0.85"),
        (">=85%", 0.849, False, "0.849 misses >= 0.85"),
        ("==0", 0, True, "0 meets == 0"),
        ("<3", 3, False, "3 misses < 3"),
        ("!=3", 3, False, "3 misses != 3"),
        (True, True, True, "true meets == true"),
        (True, False, False, "false misses == true"),
        ("green", "green", True, "green meets == green"),
        ("green", "red", False, "red misses == green"),
        ("green", 1, False, "1 misses == green"),
        (">1", "words", False, "words misses > 1"),
    ],
)
def test_measurements(condition: object, value: object, passed: bool, words: str) -> None:
    gates = parse_gates(f"x: {str(condition).lower() if isinstance(condition, bool) else repr(condition)}")
    assert evaluate(gates, {"x": value}, {}) == (GateResult("x", passed, words),)
    assert evaluate(gates, {"x": value}, {"x": "seen"})[0].evidence == f"{words}: seen"


def test_what_was_not_measured_has_failed() -> None:
    gates = parse_gates("x: true\ny: true")
    assert evaluate(gates, {}, {"y": "no tool"}) == (
        GateResult("x", False, "it was not measured, so it has failed"),
        GateResult("y", False, "no tool"),
    )


@given(st.text())
def test_any_text_is_gates_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert all(not result.passed for result in evaluate(parse_gates(text), {}, {}))
