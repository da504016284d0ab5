"""A model that answers by rule: each role has a play, a generator that yields calls and is sent their results.

A step costs the same at any length of the dialogue, because a play keeps its place instead of reading history. It
knows tools by name only. A dialogue that is rebuilt from a record (turns added without being asked for) moves the play
along just as a live one does.
"""

import json
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from bullpen.domain.errors import NotFound
from bullpen.domain.money import Money
from bullpen.models.base import (
    AssistantTurn,
    Brief,
    Delta,
    Dialogue,
    Done,
    Message,
    ModelFacts,
    Stop,
    Text,
    ToolCall,
    ToolResult,
)
from bullpen.models.facts import Facts, approach_key

MODEL = "rules"
_MOST_TESTED = 8  # approaches whose tests fail in one attempt before it gives up
_MOST_COMMENTS = 20


@dataclass(frozen=True, slots=True)
class Move:
    """What a play says next: one call, and why."""

    why: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to. ``values`` is empty where the result is not a JSON object."""

    ok: bool
    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A value as text, empty where there is none."""
        value = self.values.get(name, "")
        return value if isinstance(value, str) else json.dumps(value)

    def records(self, name: str) -> list[Mapping[str, Any]]:
        """A list of objects, empty where there is none."""
        value = self.values.get(name)
        parts = cast("list[Any]", value) if isinstance(value, list) else []
        return [cast("Mapping[str, Any]", part) for part in parts if isinstance(part, dict)]


Play = Generator[Move, Answer, None]


def _finish(outcome: str, summary: str, **data: str) -> Move:
    return Move(summary, "finish", {"outcome": outcome, "summary": summary, "data": data})


def approaches(facts: Facts) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every (recipe, lines) worth a try, in order: each recipe at all sites, then at half of them, then one by one."""
    seen = set(facts.tried)
    for lines in _site_sets(facts.lines):
        for recipe in facts.recipes:
            key = approach_key(recipe, facts.path, lines)
            if key not in seen:
                seen.add(key)
                yield recipe, lines


def _site_sets(lines: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    yield lines
    if len(lines) > 1:
        middle = len(lines) // 2
        yield lines[:middle]
        yield lines[middle:]
        yield from ((line,) for line in lines)


def _developer(facts: Facts) -> Play:
    failures: list[str] = []
    tested = 0
    for recipe, lines in approaches(facts):
        applied = yield _apply(facts, recipe, lines)
        key = approach_key(recipe, facts.path, lines)
        if not applied.ok:
            failures.append(f"{key}: {applied.text('error')}")
            continue
        report = yield Move("See whether the project's tests still hold.", "run_tests", _selection(facts))
        if report.ok and report.values.get("ok") is True:
            yield _finish("done", f"Applied {key}; {report.text('summary')}", approach=key)
            return
        failures.append(f"{key}: {report.text('summary') or report.text('error')}")
        yield Move("Take it back before trying another way.", "restore_files", {"paths": [facts.path]})
        tested += 1
        if tested == _MOST_TESTED:
            break
    yield _finish("no-approach", _no_approach(facts, failures))


def _apply(facts: Facts, recipe: str, lines: tuple[int, ...]) -> Move:
    where = f"{facts.path} at {', '.join(map(str, lines))}" if lines else facts.path
    return Move(
        f"Try the recipe {recipe} on {where}.",
        "apply_recipe",
        {"recipe": recipe, "path": facts.path, "lines": list(lines), "rules": list(facts.rules)},
    )


def _selection(facts: Facts) -> dict[str, Any]:
    return {"select": list(facts.tests)}


def _no_approach(facts: Facts, failures: Sequence[str]) -> str:
    if not facts.recipes:
        return f"No approach left: no recipe mends {', '.join(facts.rules) or 'this'}."
    tried = [*facts.tried, *failures]
    return f"No approach left; tried: {'; '.join(tried).rstrip('.')}." if tried else "No approach left."


def _qa_engineer(facts: Facts) -> Play:
    findings = yield Move(
        "See whether what was to be mended is gone and nothing new came.",
        "check_findings",
        {
            "paths": [facts.path] if facts.path else list(facts.paths),
            "fingerprints": list(facts.fingerprints),
        },
    )
    report = yield Move("Run the tests.", "run_tests", _selection(facts))
    found = findings.ok and findings.values.get("ok") is True
    tested = report.ok and report.values.get("ok") is True
    parts = [answer.text("summary") or answer.text("error") for answer in (findings, report)]
    yield _finish("done" if found and tested else "failed", " ".join(part for part in parts if part))


def _reviewer(facts: Facts) -> Play:
    review = yield Move("Read the change.", "review_diff", {})
    if not review.ok:
        yield _finish("failed", f"The change could not be read: {review.text('error')}")
        return
    remarks = review.records("remarks")[:_MOST_COMMENTS]
    for remark in remarks:
        yield Move("Say it at its line.", "comment_line", {key: remark[key] for key in _REMARK})
    blocking = [
        f"{remark['path']}:{remark['line']} {remark['text']}" for remark in remarks if remark["blocking"]
    ]
    ruling = "revise" if blocking else "accept"
    yield Move("Give the verdict.", "give_verdict", {"ruling": ruling, "must_change": blocking})
    yield _finish("done", f"{ruling}: {review.text('summary')}", ruling=ruling)


_REMARK = ("path", "line", "text", "blocking")


def _judge(facts: Facts) -> Play:
    answer = yield Move("Evaluate the gates over the evidence.", "evaluate_gates", {})
    gates = answer.records("gates")
    failed = [f"{gate['name']}: {gate['evidence']}" for gate in gates if not gate["passed"]]
    if not answer.ok or not gates:
        failed = [answer.text("error") or "there are no gates to evaluate"]
    ruling = "revise" if failed else "accept"
    yield Move("Rule by the gates alone.", "give_verdict", {"ruling": ruling, "must_change": failed})
    passed = f"{len(gates) - len(failed)} of {len(gates)} gates passed" if gates else failed[0]
    yield _finish("done", f"{ruling}: {passed}.", ruling=ruling)


def _lead(facts: Facts) -> Play:
    refused: list[str] = []
    for title, role, why in facts.subtasks:
        asked = yield Move("Split the work.", "request_subtask", {"title": title, "role": role, "why": why})
        if not asked.ok:
            refused.append(title)
    count = len(facts.subtasks)
    if refused or not count:
        reason = f"could not ask for: {', '.join(refused)}" if refused else "there is nothing to split"
        yield _finish("failed", f"The plan is not complete: {reason}.")
        return
    yield _finish("done", f"Asked for {count} task{'s' if count != 1 else ''}.")


def _persona(facts: Facts) -> Play:
    roast = yield Move(
        "Look at the code from this point of view.",
        "roast_files",
        {"paths": list(facts.paths), "concern": facts.concern},
    )
    if not roast.ok:
        yield _finish("failed", f"The code could not be looked at: {roast.text('error')}")
        return
    yield Move("Write down what stands out.", "note", {"text": roast.text("summary")})
    yield _finish("done", roast.text("summary"), findings=roast.text("count"))


PLAYS: Mapping[str, Callable[[Facts], Play]] = {
    "developer": _developer,
    "qa-engineer": _qa_engineer,
    "reviewer": _reviewer,
    "judge": _judge,
    "lead": _lead,
}


def _play_of(brief: Brief) -> Callable[[Facts], Play]:
    """The role's own play, or for another role the one its tools allow."""
    if brief.role in PLAYS:
        return PLAYS[brief.role]
    tools = {tool.name for tool in brief.tools}
    return _developer if "apply_recipe" in tools else _persona


class PlaybookDialogue:
    """See ``Dialogue``. Keeps the play and what came in since its last move, nothing else."""

    __slots__ = ("_answer", "_begun", "_count", "_move", "_play")

    def __init__(self, play: Play) -> None:
        self._play = play
        self._move: Move | None = None
        self._answer = Answer(False, {"error": "nothing was run"})
        self._begun = False
        self._count = 0

    def add(self, message: Message) -> None:
        """See ``Dialogue.add``."""
        if isinstance(message, AssistantTurn):
            self._next()
            self._move = None
        elif isinstance(message, ToolResult):
            self._answer = Answer(message.ok, _object(message.content))

    async def reply(self) -> AsyncIterator[Delta]:
        """See ``Dialogue.reply``."""
        move = self._next()
        if move is None:
            yield Text("The play is over.")
            yield Done(Stop.END)
            return
        yield Text(move.why)
        yield ToolCall(f"p{self._count}", move.tool, json.dumps(move.arguments))
        yield Done(Stop.TOOLS)

    def _next(self) -> Move | None:
        """The move that is due; asking twice gives the same one."""
        if self._move is None:
            try:
                self._move = self._play.send(self._answer) if self._begun else next(self._play)
            except StopIteration:
                return None
            self._begun = True
            self._count += 1
        return self._move


def _object(content: str) -> Mapping[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        return {"error": content}
    return value if isinstance(value, dict) else {"error": content}  # pyright: ignore[reportUnknownVariableType]


@dataclass(frozen=True, slots=True)
class Playbook:
    """The provider: one model, ``rules``, free and always there."""

    name: str = "playbook"

    def facts(self, model: str) -> ModelFacts:
        """See ``Provider.facts``."""
        _require(model)
        return ModelFacts(
            self.name, model, "1", 1_000_000, input_price=Money(), output_price=Money(), reads_history=False
        )

    def open(self, model: str, brief: Brief) -> Dialogue:
        """See ``Provider.open``."""
        _require(model)
        return PlaybookDialogue(_play_of(brief)(Facts.from_mapping(brief.facts)))


def _require(model: str) -> None:
    if model != MODEL:
        raise NotFound(
            f"The playbook has no model {model!r}; it has: {MODEL}.", remedy=f"Use playbook:{MODEL}."
        )


PROVIDER = Playbook()
