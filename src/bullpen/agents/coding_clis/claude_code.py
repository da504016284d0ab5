"""Claude Code (``claude -p``), its ``stream-json`` output."""

import json
from dataclasses import dataclass, field
from typing import Any

from bullpen.agents.base import Used
from bullpen.agents.coding_clis.base import (
    Ask,
    Heard,
    Launch,
    Listener,
    Said,
    cost_in,
    count_in,
    dig,
    list_in,
    text_in,
)
from bullpen.agents.stdio import read_object
from bullpen.domain.money import Money


@dataclass(slots=True)
class _Stream:
    """One message of the model comes as several lines with one id and the same usage; it counts once."""

    counted: set[str] = field(default_factory=set[str])

    def hear(self, line: bytes) -> Heard | None:
        """See ``Listener.hear``."""
        event = read_object(line)
        match event.get("type"):
            case "assistant":
                return self._reply(event)
            case "result":
                return _result(event)
            case _:
                return None

    def end(self) -> Said | None:
        """See ``Listener.end``: its last line is its last word."""
        return None

    def _reply(self, event: dict[str, Any]) -> Heard:
        parts = list_in(event, "message", "content")
        text = "\n".join(found for part in parts if (found := text_in(part, "text")))
        calls = tuple(
            (text_in(part, "id"), text_in(part, "name"), json.dumps(dig(part, "input")))
            for part in parts
            if text_in(part, "type") == "tool_use"
        )
        name = text_in(event, "message", "id")
        used = Used() if name and name in self.counted else _used(event, "message", "usage")
        self.counted.add(name)
        return Heard(text, calls, used)


def _result(event: dict[str, Any]) -> Heard:
    ok = event.get("is_error") is False and event.get("subtype") == "success"
    summary = text_in(event, "result") or text_in(event, "subtype")
    total = _used(event, "usage", cost=cost_in(event, "total_cost_usd"))
    return Heard(total=total, said=Said(ok, summary))


def _used(event: dict[str, Any], *names: str, cost: Money | None = None) -> Used:
    kinds = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    given = sum(count_in(event, *names, kind) for kind in kinds)
    return Used(given, count_in(event, *names, "output_tokens"), cost or Money())


@dataclass(frozen=True, slots=True)
class ClaudeCode:
    """See ``Adapter``."""

    program: str = "claude"
    install: str = "npm install -g @anthropic-ai/claude-code"
    upstream: str = "https://api.anthropic.com"
    acp: tuple[str, ...] = ()

    def launch(self, ask: Ask) -> Launch:
        """See ``Adapter.launch``. It may do anything, because it can do nothing outside the sandbox."""
        model = ("--model", ask.model) if ask.model else ()
        return Launch(
            (
                "-p",
                "--output-format",
                "stream-json",
                "--verbose",
                "--permission-mode",
                "bypassPermissions",
                *model,
            ),
            {
                "ANTHROPIC_BASE_URL": ask.address,
                "ANTHROPIC_API_KEY": ask.token,
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_AUTOUPDATER": "1",
                "IS_SANDBOX": "1",
            },
            ask.prompt.encode(),
        )

    def listen(self) -> Listener:
        """See ``Adapter.listen``."""
        return _Stream()


adapter = ClaudeCode()
