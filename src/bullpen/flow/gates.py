"""Gates: named conditions, as data. What cannot be evaluated has failed.

A gate file is YAML: names of measurements with a condition each (``coverage: ">=85%"``, ``zero_test_failures: true``,
``p95: "<500ms"``, ``tests: {exit_status: 0}``).
"""

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from bullpen.domain.errors import InvalidInput
from bullpen.domain.verdict import GateResult
from bullpen.kernel.yaml_text import read_yaml

Measured = bool | int | float | str

_COMPARE = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_UNITS = {"": 1.0, "%": 0.01, "ms": 0.001, "s": 1.0, "min": 60.0, "kb": 1e3, "mb": 1e6, "gb": 1e9}
_CONDITION = re.compile(r"(>=|<=|==|!=|>|<)\s*(-?\d+(?:\.\d+)?)\s*(%|ms|s|min|kb|mb|gb)?", re.IGNORECASE)

DEFAULT_GATES = """\
finding_gone: true
new_findings: "==0"
tests_broken: "==0"
tests_lost: "==0"
guards_broken: "==0"
outside_scope: "==0"
style_kept: true
new_tests_falsified: true
"""


@dataclass(frozen=True, slots=True)
class Gate:
    """A measurement's name and the condition it must meet. Numbers are in base units: shares, seconds, bytes."""

    name: str
    comparison: str
    wanted: Measured


def parse_gates(text: str, where: str = "gates") -> tuple[Gate, ...]:
    """Read a gate file.

    Raises:
        InvalidInput: with the file and the gate, or the line of the YAML error, named.
    """
    try:
        loaded: Any = read_yaml(text) or {}
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        raise InvalidInput(f"{where}{line}: this is not YAML: {getattr(error, 'problem', error)}.") from error
    if not isinstance(loaded, dict):
        raise InvalidInput(f"{where}: gates are written as NAME: CONDITION lines.")
    entries = cast("dict[Any, Any]", loaded)
    return tuple(_gate(str(name), wanted, where) for name, wanted in entries.items())


def read_gates(path: Path) -> tuple[Gate, ...]:
    """The gates of a file."""
    return parse_gates(path.read_text("utf-8"), str(path))


def _gate(name: str, wanted: Any, where: str) -> Gate:
    if isinstance(wanted, dict):
        status = cast("dict[Any, Any]", wanted)
        if list(status) == ["exit_status"] and isinstance(status["exit_status"], int):
            return Gate(name, "==", status["exit_status"])
    elif isinstance(wanted, bool | int | float):
        return Gate(name, "==", wanted)
    elif isinstance(wanted, str) and (found := _CONDITION.fullmatch(wanted.strip())):
        comparison, number, unit = found.groups()
        return Gate(name, comparison, float(number) * _UNITS[(unit or "").lower()])
    elif isinstance(wanted, str) and re.fullmatch(r"[\w-]+", wanted):
        return Gate(name, "==", wanted)
    raise InvalidInput(
        f"{where}: the condition of {name!r} cannot be read: {wanted!r}.",
        remedy='Write true, a number, a word, or a comparison such as ">=85%", "<500ms", "==0".',
    )


def evaluate(
    gates: tuple[Gate, ...], measured: Mapping[str, Measured], notes: Mapping[str, str]
) -> tuple[GateResult, ...]:
    """Hold measurements against gates. ``notes`` add words to a gate's evidence."""
    return tuple(_evaluate(gate, measured, notes.get(gate.name, "")) for gate in gates)


def _evaluate(gate: Gate, measured: Mapping[str, Measured], note: str) -> GateResult:
    if gate.name not in measured:
        return GateResult(gate.name, False, note or "it was not measured, so it has failed")
    value = measured[gate.name]
    comparable = isinstance(value, str) == isinstance(gate.wanted, str)
    passed = comparable and bool(_COMPARE[gate.comparison](value, gate.wanted))
    words = f"{_show(value)} {'meets' if passed else 'misses'} {gate.comparison} {_show(gate.wanted)}"
    return GateResult(gate.name, passed, f"{words}{': ' + note if note else ''}")


def _show(value: Measured) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
