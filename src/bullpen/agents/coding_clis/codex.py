"""Codex (``codex exec --json``), events of threads, turns and items."""

import json
from dataclasses import dataclass
from typing import Any

from bullpen.agents.base import Used
from bullpen.agents.coding_clis.base import Ask, Heard, Launch, Listener, Said, count_in, dig, text_in
from bullpen.agents.stdio import read_object
from bullpen.domain.money import Money

_TOOLS = ("command_execution", "file_change", "mcp_tool_call", "web_search")
_SHOWN = ("command", "changes", "tool", "arguments", "query")


@dataclass(slots=True)
class _Stream:
    """Its summary is the last thing the model said."""

    last: str = ""

    def hear(self, line: bytes) -> Heard | None:
        """See ``Listener.hear``. Its own cached tokens are a part of the input tokens."""
        event = read_object(line)
        match event.get("type"):
            case "item.completed":
                return self._item(event)
            case "turn.completed":
                given, made = (
                    count_in(event, "usage", "input_tokens"),
                    count_in(event, "usage", "output_tokens"),
                )
                return Heard(used=Used(given, made, Money()), said=Said(ok=True, summary=self.last))
            case "turn.failed":
                return Heard(said=Said(ok=False, summary=text_in(event, "error", "message")))
            case "error":
                return Heard(text=text_in(event, "message"))
            case _:
                return None

    def end(self) -> Said | None:
        """See ``Listener.end``: a run without the end of its turn did not end well."""
        return None

    def _item(self, event: dict[str, Any]) -> Heard | None:
        item = dig(event, "item")
        kind = text_in(item, "type")
        if kind == "agent_message":
            self.last = text_in(item, "text")
            return Heard(text=self.last)
        if kind in _TOOLS:
            shown = {name: dig(item, name) for name in _SHOWN if dig(item, name) is not None}
            return Heard(calls=((text_in(item, "id"), kind, json.dumps(shown)),))
        return Heard(text=text_in(item, "message")) if kind == "error" else None


@dataclass(frozen=True, slots=True)
class Codex:
    """See ``Adapter``."""

    program: str = "codex"
    install: str = "npm install -g @openai/codex"
    upstream: str = "https://api.openai.com"
    acp: tuple[str, ...] = ()

    def launch(self, ask: Ask) -> Launch:
        """See ``Adapter.launch``. Its own sandbox is off: namespaces cannot be nested here, and ours holds."""
        provider = (
            f'model_providers.bullpen={{name="bullpen",base_url="{ask.address}/v1",'
            'env_key="BULLPEN_TOKEN",wire_api="responses"}'
        )
        model = ("--model", ask.model) if ask.model else ()
        return Launch(
            (
                "exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
                "-c", 'model_provider="bullpen"', "-c", provider, *model, "-",
            ),
            {"BULLPEN_TOKEN": ask.token},
            ask.prompt.encode(),
        )  # fmt: skip

    def listen(self) -> Listener:
        """See ``Adapter.listen``."""
        return _Stream()


adapter = Codex()
