"""opencode (``opencode run --format json``)."""

import json
from dataclasses import dataclass
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
    text_in,
)
from bullpen.agents.stdio import read_object


@dataclass(slots=True)
class _Stream:
    """It has no last word of its own: it ends with status 0 after its last step, unless there was an error."""

    last: str = ""
    error: str = ""
    finished: bool = False

    def hear(self, line: bytes) -> Heard | None:
        """See ``Listener.hear``."""
        event = read_object(line)
        match event.get("type"):
            case "text":
                self.last = text_in(event, "part", "text")
                return Heard(text=self.last)
            case "tool_use":
                part = dig(event, "part")
                shown = json.dumps(dig(part, "state", "input"))
                return Heard(calls=((text_in(part, "callID"), text_in(part, "tool"), shown),))
            case "step_finish":
                self.finished = True
                return Heard(used=_used(event))
            case "error":
                self.error = (
                    text_in(event, "error", "data", "message") or text_in(event, "error", "name") or "error"
                )
                return Heard(said=Said(ok=False, summary=self.error))
            case _:
                return None

    def end(self) -> Said | None:
        """See ``Listener.end``."""
        return Said(ok=True, summary=self.last) if self.finished and not self.error else None


def _used(event: dict[str, Any]) -> Used:
    tokens = dig(event, "part", "tokens")
    given = count_in(tokens, "input") + count_in(tokens, "cache", "read") + count_in(tokens, "cache", "write")
    made = count_in(tokens, "output") + count_in(tokens, "reasoning")
    return Used(given, made, cost_in(event, "part", "cost"))


@dataclass(frozen=True, slots=True)
class OpenCode:
    """See ``Adapter``. Its models are those of an OpenAI-compatible interface."""

    program: str = "opencode"
    install: str = "npm install -g opencode-ai"
    upstream: str = "https://api.openai.com"
    acp: tuple[str, ...] = ("acp",)

    def launch(self, ask: Ask) -> Launch:
        """See ``Adapter.launch``."""
        return Launch(("run", "--format", "json", "--auto"), self.environment(ask), ask.prompt.encode())

    def environment(self, ask: Ask) -> dict[str, str]:
        """Its settings, all of them in one variable."""
        model = ask.model or "gpt-5"
        settings: dict[str, Any] = {
            "autoupdate": False,
            "share": "disabled",
            "model": f"bullpen/{model}",
            "small_model": f"bullpen/{model}",
            "enabled_providers": ["bullpen"],
            "provider": {
                "bullpen": {
                    "npm": "@ai-sdk/openai-compatible",
                    "options": {"baseURL": f"{ask.address}/v1", "apiKey": ask.token},
                    "models": {model: {}},
                }
            },
        }
        return {
            "OPENCODE_CONFIG_CONTENT": json.dumps(settings),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        }

    def listen(self) -> Listener:
        """See ``Adapter.listen``."""
        return _Stream()


adapter = OpenCode()
