"""Review a change, comment on its lines, and rule on it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from bullpen.domain.errors import InvalidInput
from bullpen.domain.events.agent import LineCommented, ReviewGiven
from bullpen.domain.verdict import GateResult
from bullpen.kernel.redaction import Redactor
from bullpen.tools.base import AnyText, Risk, ToolContext, need, tool
from bullpen.tools.workspace import normal

_MOST_REMARKS = 50
_HUNK = re.compile(r"^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to say about a line of the new file (of the old one for a line that goes)."""

    path: str
    line: int
    text: str
    blocking: bool


@dataclass(frozen=True, slots=True)
class DiffReviewed:
    """What was seen in a diff by rule; judging what it means is up to you."""

    summary: str
    files: tuple[str, ...]
    added: int
    removed: int
    remarks: tuple[Remark, ...]
    diff: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded."""

    recorded: str


@dataclass(frozen=True, slots=True)
class GatesEvaluated:
    """Every gate and its evidence."""

    passed: bool
    gates: tuple[GateResult, ...]


@dataclass(frozen=True, slots=True)
class DiffLine:
    """An added (+) or removed (-) line of a diff."""

    path: str
    line: int
    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Habit:
    """A pattern in changed lines, and what is said about it."""

    sign: str
    pattern: re.Pattern[str]
    text: str
    blocking: bool
    in_tests: bool | None = None  # only in test files, only elsewhere, or anywhere


_HABITS = (
    Habit("+", re.compile(r"^(<{7} |>{7} |={7}$)"), "A merge conflict is left here.", True),
    Habit(
        "+",
        re.compile(r"\bbreakpoint\(\)|\bpdb\.set_trace\(|^\s*debugger;"),
        "A debugger stop is left here.",
        True,
    ),
    Habit(
        "+",
        re.compile(r"pytest\.mark\.(skip|xfail)|unittest\.skip|\b(it|test|describe)\.skip\("),
        "A test is switched off.",
        True,
    ),
    Habit(
        "+",
        re.compile(r"#\s*(noqa|type:\s*ignore|nosec|pragma:\s*no cover)|eslint-disable"),
        "A check is silenced.",
        True,
    ),
    Habit("-", re.compile(r"^\s*(async )?def test_|^\s*(it|test)\("), "A test goes.", True, in_tests=True),
    Habit(
        "-",
        re.compile(r"^\s*assert\b|\bself\.assert|\bexpect\("),
        "An assertion goes; is it replaced by one as strong?",
        False,
        in_tests=True,
    ),
    Habit(
        "+",
        re.compile(r"^\s*except\s*(Exception|BaseException)?\s*:"),
        "This catches everything.",
        False,
        in_tests=False,
    ),
    Habit("+", re.compile(r"\b(TODO|FIXME|XXX)\b"), "New work is left for later.", False),
)


@tool(risk=Risk.READ)
async def review_diff(ctx: ToolContext, base: str = "") -> DiffReviewed:
    """Read the change in the workspace, with what a rule can see in it already pointed out.

    Args:
        base: What to compare with; empty means the last commit.
    """
    diff = await need(ctx.skills.git, "git").diff(base)
    lines = list(changed(diff))
    remarks = [*_outside(ctx, lines), *(remark for line in lines for remark in _remarks(line, ctx.redactor))]
    if not lines:
        remarks = [Remark("", 0, "The change is empty.", True)]
    files = tuple(dict.fromkeys(line.path for line in lines))
    added = sum(line.sign == "+" for line in lines)
    blocking = sum(remark.blocking for remark in remarks)
    summary = (
        f"{len(files)} files, {added} lines added, {len(lines) - added} removed; "
        f"{len(remarks)} remarks, {blocking} of them blocking."
    )
    return DiffReviewed(summary, files, added, len(lines) - added, tuple(remarks[:_MOST_REMARKS]), diff)


def changed(diff: str) -> Iterator[DiffLine]:
    """The added and removed lines of a unified diff."""
    old = new = 0
    path = before = ""
    in_hunk = False
    for text in diff.split("\n"):
        if hunk := _HUNK.match(text):
            old, new, in_hunk = int(hunk[1]), int(hunk[2]), True
        elif not in_hunk or text.startswith("diff --git "):
            in_hunk = False
            before = _named(text, "--- a/") or before
            path = _named(text, "+++ b/") or (before if text.startswith("+++ ") else path)
        else:
            if text[:1] in ("+", "-"):
                yield DiffLine(path, new if text[0] == "+" else old, text[0], text[1:])
            old += text[:1] in (" ", "-", "")
            new += text[:1] in (" ", "+", "")


def _named(text: str, prefix: str) -> str:
    return text[len(prefix) :].split("\t", maxsplit=1)[0] if text.startswith(prefix) else ""


def _outside(ctx: ToolContext, lines: list[DiffLine]) -> Iterator[Remark]:
    agreed = ctx.scope.files
    if agreed is None:
        return
    for path in dict.fromkeys(line.path for line in lines):
        if path not in agreed and not any(
            path.startswith(f"{folder.rstrip('/')}/") for folder in ctx.scope.folders
        ):
            yield Remark(path, 1, "This file is not among the agreed ones.", True)


def _remarks(line: DiffLine, redactor: Redactor) -> Iterator[Remark]:
    is_test = "test" in line.path.lower()
    for habit in _HABITS:
        if habit.sign == line.sign and habit.in_tests in (None, is_test) and habit.pattern.search(line.text):
            yield Remark(line.path, line.line, habit.text, habit.blocking)
    if line.sign == "+" and redactor.redact(line.text) != line.text:
        yield Remark(line.path, line.line, "This looks like a secret.", True)


@tool(risk=Risk.READ)
async def comment_line(
    ctx: ToolContext,
    path: AnyText,
    line: Annotated[int, Field(ge=0)],
    text: Annotated[str, Field(min_length=1, max_length=4000)],
    blocking: bool = False,
) -> Recorded:
    """Comment on one line of the change.

    Args:
        path: The file, relative to the workspace; empty for the change as a whole.
        line: The line, from 1; 0 for the file as a whole.
        text: What you have to say, and what should be done.
        blocking: Whether the change may not go in as long as this stands.
    """
    name = normal(path) if path else ""
    key = ctx.key
    said = ctx.redactor.redact(text)
    await ctx.journal.append(LineCommented(key.task_id, key.step, key.call_id, name, line, said, blocking))
    return Recorded(f"comment on {name or 'the change'}:{line}")


@tool(risk=Risk.READ)
async def give_verdict(
    ctx: ToolContext, ruling: Literal["accept", "revise", "reject"], must_change: list[str] | None = None
) -> Recorded:
    """Rule on the change: accept it, send it back with what must change, or reject it.

    Args:
        ruling: accept, revise or reject.
        must_change: What must change; needed unless you accept, and empty if you do.
    """
    key = ctx.key
    wanted = tuple(ctx.redactor.redact(one) for one in must_change or ())
    if (ruling == "accept") == bool(wanted):
        raise InvalidInput(
            "An acceptance asks for no change, and anything else says what must change.",
            remedy="Give must_change, or accept.",
        )
    await ctx.journal.append(ReviewGiven(key.task_id, key.step, key.call_id, ctx.role, ruling, wanted))
    return Recorded(ruling)


@tool(risk=Risk.READ)
async def evaluate_gates(ctx: ToolContext) -> GatesEvaluated:
    """Evaluate every gate the change must pass, over the recorded evidence."""
    gates = tuple(await need(ctx.skills.gates, "gates").evaluate())
    return GatesEvaluated(bool(gates) and all(gate.passed for gate in gates), gates)


TOOLS = (review_diff, comment_line, give_verdict, evaluate_gates)
