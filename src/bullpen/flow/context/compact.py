"""Old turns become a summary that keeps references; nothing is asked of a model for it. Pure.

A reference names the call, the file it was about and the SHA-256 of what it gave: the whole is in the event log.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from bullpen.flow.context.tokens import Estimate, estimate_tokens, message_tokens
from bullpen.models.base import AssistantTurn, Message, PersonTurn, ToolCall, ToolResult

_SAID, _GAVE = 160, 100  # characters kept of what was said, and of what a call gave
_SHOWN = 12  # letters of a digest that the summary shows


@dataclass(frozen=True, slots=True)
class Reference:
    """Where the whole of a result can be found again. ``path`` is empty for a call about no file."""

    call_id: str
    tool: str
    path: str
    sha256: str
    ok: bool

    def __str__(self) -> str:
        about = f" {self.path}" if self.path else ""
        return f"[{self.call_id} {self.tool}{about} sha256:{self.sha256[:_SHOWN]}]"


@dataclass(frozen=True, slots=True)
class Compacted:
    """The summary of the older steps, the newer ones as they were, and every reference of the older."""

    summary: str
    kept: tuple[Message, ...]
    references: tuple[Reference, ...]
    steps: int  # that were summarised


@dataclass(frozen=True, slots=True)
class _Step:
    messages: tuple[Message, ...]
    tokens: int


def compact(turns: Sequence[Message], budget: int, estimate: Estimate = estimate_tokens) -> Compacted:
    """Keep the newest steps whole in half of the budget (the last one always), and tell the others in a quarter.

    A step is a reply with the results of its calls; it is never parted.
    """
    steps = list(_steps(turns, estimate))
    first = _first_kept(steps, budget // 2)
    old = [message for step in steps[:first] for message in step.messages]
    kept = tuple(message for step in steps[first:] for message in step.messages)
    references = tuple(_references(old))
    return Compacted(_summary(old, references, budget // 4, estimate), kept, references, first)


def _steps(turns: Sequence[Message], estimate: Estimate) -> Iterator[_Step]:
    group: list[Message] = []
    for message in turns:
        if group and isinstance(message, AssistantTurn):
            yield _step(group, estimate)
            group = []
        group.append(message)
    if group:
        yield _step(group, estimate)


def _step(group: Sequence[Message], estimate: Estimate) -> _Step:
    return _Step(tuple(group), sum(message_tokens(one, estimate) for one in group))


def _first_kept(steps: Sequence[_Step], room: int) -> int:
    first = max(0, len(steps) - 1)
    used = steps[first].tokens if steps else 0
    while first and used + steps[first - 1].tokens <= room:
        first -= 1
        used += steps[first].tokens
    return first


def _references(messages: Sequence[Message]) -> Iterator[Reference]:
    calls: dict[str, ToolCall] = {}
    for message in messages:
        if isinstance(message, AssistantTurn):
            calls = {call.id: call for call in message.calls}
        elif isinstance(message, ToolResult):
            digest = hashlib.sha256(message.content.encode("utf-8", "surrogatepass")).hexdigest()
            path = _path(calls[message.call_id].arguments) if message.call_id in calls else ""
            yield Reference(message.call_id, message.tool, path, digest, message.ok)


def _path(arguments: str) -> str:
    try:
        given: Any = json.loads(arguments)
    except ValueError:
        return ""
    path: object = cast("dict[str, Any]", given).get("path") if isinstance(given, dict) else None
    return path if isinstance(path, str) else ""


def _summary(
    messages: Sequence[Message], references: Sequence[Reference], room: int, estimate: Estimate
) -> str:
    """A line each; where they are too many, the oldest become counts and the newest reference of each file."""
    if not messages:
        return ""
    lines = list(_lines(messages, references))
    head = "What happened before, in short; the whole of each [reference] is in the record."
    budget = room - estimate(head)
    start = len(lines)
    while start and (budget := budget - estimate(lines[start - 1]) - 1) >= 0:
        start -= 1
    early = [_digest(lines[:start], references, len(lines) - start)] if start else []
    return "\n".join([head, *early, *lines[start:]])


def _lines(messages: Sequence[Message], references: Sequence[Reference]) -> Iterator[str]:
    left = iter(references)
    for message in messages:
        match message:
            case AssistantTurn(text=text) if text.strip():
                yield f"- you said: {_short(text, _SAID)}"
            case PersonTurn(text=text):
                yield f"- you were told: {_short(text, _SAID)}"
            case ToolResult(content=content, ok=ok):
                yield f"- {next(left)} {'gave' if ok else 'FAILED'}: {_short(content, _GAVE)}"
            case _:
                pass


def _digest(lines: Sequence[str], references: Sequence[Reference], shown: int) -> str:
    """What is too old for a line: how often which tool, and the newest reference of each file."""
    early = references[: sum(line.startswith("- [") for line in lines)]
    counts = ", ".join(f"{number} {tool}" for tool, number in Counter(one.tool for one in early).items())
    newest = {one.path: one for one in early if one.path}
    files = " ".join(map(str, list(newest.values())[-20:]))
    return f"- earlier ({len(lines)} lines, {shown} follow): {counts or 'words only'}. {files}".rstrip(". ")


def _short(text: str, longest: int) -> str:
    words = " ".join(text.split())
    return words if len(words) <= longest else f"{words[:longest]}…"
