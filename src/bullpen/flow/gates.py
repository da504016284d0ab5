"""Gates: named conditions, as data. What cannot be evaluated has failed.

A gate file is YAML: names of measurements with a condition each (``coverage: ">=85%"``, ``zero_test_failures: true``,
``p95: "<500ms"``, ``judge: accept``), and commands (``lint: {command: make lint, exit_status: 0}``), whose exit status
is the measurement. A project's own file, ``.bullpen/gates.yaml``, is added to the built-in gates and cannot relax them.
"""

import operator
import re
import shlex
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
meaning_held: true
"""
PROJECT_GATES = ".bullpen/gates.yaml"
SOMETIMES_MEASURED = frozenset({"mutation_score"})  # beyond what the built-in gates ask
_MEND = "Mend the file and commit it; nothing was begun."


@dataclass(frozen=True, slots=True)
class Gate:
    """A measurement's name and the condition it must meet. Numbers are in base units: shares, seconds, bytes.

    ``command`` is run in the sandbox on the change, and what is measured is its exit status; empty for other gates.
    """

    name: str
    comparison: str
    wanted: Measured
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GateSet:
    """The gates that hold, and what was refused of a project's own file, in words."""

    gates: tuple[Gate, ...]
    notes: tuple[str, ...] = ()


def parse_gates(text: str, where: str = "gates") -> tuple[Gate, ...]:
    """Read a gate file.

    Raises:
        InvalidInput: with the file, the line and the gate named.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        loaded: Any = read_yaml(text) or {}
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}, column {place.column + 1}" if place else ""
        raise InvalidInput(
            f"{where}{line}: this is not YAML: {getattr(error, 'problem', error)}.", remedy=_MEND
        ) from error
    if not isinstance(loaded, dict):
        raise InvalidInput(
            f"{where}, line 1, column 1: gates are written as NAME: CONDITION lines.", remedy=_MEND
        )
    entries = cast("dict[Any, Any]", loaded)
    lines = _lines(root)
    _refuse_twice(lines, where)
    places = {name: f"{where}, {place}" for name, place in lines}
    return tuple(_gate(str(name), wanted, places.get(str(name), where)) for name, wanted in entries.items())


def _lines(root: yaml.Node | None) -> list[tuple[str, str]]:
    """The names of a mapping with where they are, in words."""
    if not isinstance(root, yaml.MappingNode):
        return []
    keys = [cast("yaml.Node", key) for key, _value in cast("list[tuple[Any, Any]]", root.value)]
    marks = [(str(key.value), key.start_mark) for key in keys]
    return [(name, f"line {mark.line + 1}, column {mark.column + 1}") for name, mark in marks]


def _refuse_twice(lines: list[tuple[str, str]], where: str) -> None:
    seen: set[str] = set()
    for name, place in lines:
        if name in seen:
            raise InvalidInput(f"{where}, {place}: the gate {name!r} is there twice.", remedy=_MEND)
        seen.add(name)


def read_gates(path: Path) -> tuple[Gate, ...]:
    """The gates of a file."""
    return parse_gates(path.read_text("utf-8"), str(path))


def with_project_gates(built_in: tuple[Gate, ...], text: str, where: str = PROJECT_GATES) -> GateSet:
    """Built-in gates and a project's own. Where the two name the same, the built-in one stays and theirs is added
    only if whatever meets it also meets the built-in one; otherwise it is refused, with a note.

    Raises:
        InvalidInput: the project's file cannot be read.
    """
    known = {gate.name: gate for gate in built_in}
    gates, notes = list(built_in), list[str]()
    for gate in parse_gates(text, where):
        mine = known.get(gate.name)
        if mine is None or (gate != mine and _is_tighter(gate, mine)):
            gates.append(gate)
        elif gate != mine:
            notes.append(f"{where}: {gate.name} may not be relaxed; it stays {_words(mine)}")
        if mine is None and not gate.command and gate.name not in SOMETIMES_MEASURED:
            notes.append(f"{where}: nothing here measures {gate.name}, so it refuses every change")
    return GateSet(tuple(gates), tuple(notes))


def _is_tighter(gate: Gate, than: Gate) -> bool:
    """Whether every value that meets ``gate`` meets ``than``."""
    if gate.command or isinstance(gate.wanted, str) or isinstance(than.wanted, str):
        return False
    if gate.comparison == "==":
        return _meets(than, gate.wanted)
    one, other = gate.comparison, than.comparison
    if one[0] != other[0] or one[0] not in "<>":
        return False
    if gate.wanted == than.wanted:
        return one == other or "=" in other
    return gate.wanted > than.wanted if one[0] == ">" else gate.wanted < than.wanted


def _meets(gate: Gate, value: Measured) -> bool:
    comparable = isinstance(value, str) == isinstance(gate.wanted, str)
    return comparable and bool(_COMPARE[gate.comparison](value, gate.wanted))


def _gate(name: str, wanted: Any, where: str) -> Gate:
    if isinstance(wanted, dict):
        return _command_gate(name, cast("dict[Any, Any]", wanted), where)
    if isinstance(wanted, bool | int | float):
        return Gate(name, "==", wanted)
    if isinstance(wanted, str) and (found := _CONDITION.fullmatch(wanted.strip())):
        comparison, number, unit = found.groups()
        return Gate(name, comparison, float(number) * _UNITS[(unit or "").lower()])
    if isinstance(wanted, str) and re.fullmatch(r"[\w-]+", wanted):
        return Gate(name, "==", wanted)
    raise _unreadable(name, wanted, where)


def _command_gate(name: str, wanted: dict[Any, Any], where: str) -> Gate:
    """``{exit_status: 0}`` of something measured elsewhere, or ``{command: …, exit_status: 0}``."""
    status, command = wanted.get("exit_status", 0), wanted.get("command", "")
    if not wanted or not set(wanted) <= {"exit_status", "command"} or not isinstance(command, str):
        raise _unreadable(name, wanted, where)
    if isinstance(status, bool) or not isinstance(status, int):
        raise _unreadable(name, wanted, where)
    try:
        argv = tuple(shlex.split(command))
    except ValueError as error:
        raise InvalidInput(f"{where}: the command of {name!r} cannot be read: {error}.") from error
    if "command" in wanted and not argv:
        raise _unreadable(name, wanted, where)
    return Gate(name, "==", status, argv)


def _unreadable(name: str, wanted: object, where: str) -> InvalidInput:
    return InvalidInput(
        f"{where}: the condition of {name!r} cannot be read: {wanted!r}.",
        remedy='Write true, a number, a word, {command: make lint, exit_status: 0}, or ">=85%", "<500ms", "==0".',
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
    passed = _meets(gate, value)
    words = f"{_show(value)} {'meets' if passed else 'misses'} {_words(gate)}"
    return GateResult(gate.name, passed, f"{words}{': ' + note if note else ''}")


def _words(gate: Gate) -> str:
    return f"{gate.comparison} {_show(gate.wanted)}"


def _show(value: Measured) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
