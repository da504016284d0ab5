"""Gemini CLI (``gemini --output-format stream-json``)."""

import json
from dataclasses import dataclass

from bullpen.agents.base import Used
from bullpen.agents.coding_clis.base import Ask, Heard, Launch, Listener, Said, count_in, dig, text_in
from bullpen.agents.stdio import read_object
from bullpen.domain.money import Money

_LONGEST = 16_384
# an address of its own would else make it ask for a gateway's login
_SETTINGS = b"""{
  "security": {"auth": {"selectedType": "gemini-api-key", "enforcedType": "gemini-api-key"}},
  "general": {"disableAutoUpdate": true, "disableUpdateNag": true},
  "privacy": {"usageStatisticsEnabled": false},
  "telemetry": {"enabled": false}
}"""


@dataclass(slots=True)
class _Stream:
    """The model's text comes in pieces; it is one reply once something else comes."""

    text: str = ""
    last: str = ""

    def hear(self, line: bytes) -> Heard | None:
        """See ``Listener.hear``."""
        event = read_object(line)
        match event.get("type"):
            case "message" if event.get("role") == "assistant":
                self.text = (self.text + text_in(event, "content"))[:_LONGEST]
                return None
            case "tool_use":
                shown = json.dumps(dig(event, "parameters"))
                return Heard(
                    self._reply(), ((text_in(event, "tool_id"), text_in(event, "tool_name"), shown),)
                )
            case "error":
                return Heard(text=text_in(event, "message"))
            case "result":
                return self._result(event)
            case _:
                return None

    def end(self) -> Said | None:
        """See ``Listener.end``: its last line is its last word."""
        return None

    def _reply(self) -> str:
        text, self.text = self.text, ""
        self.last = text or self.last
        return text

    def _result(self, event: dict[str, object]) -> Heard:
        text = self._reply()
        given, made = (count_in(event, "stats", kind) for kind in ("input_tokens", "output_tokens"))
        ok = event.get("status") == "success"
        summary = self.last if ok else text_in(event, "error", "message")
        return Heard(text, total=Used(given, made, Money()), said=Said(ok, summary))


@dataclass(frozen=True, slots=True)
class Gemini:
    """See ``Adapter``."""

    program: str = "gemini"
    install: str = "npm install -g @google/gemini-cli"
    upstream: str = "https://generativelanguage.googleapis.com"
    acp: tuple[str, ...] = ("--acp",)

    def launch(self, ask: Ask) -> Launch:
        """See ``Adapter.launch``."""
        model = ("--model", ask.model) if ask.model else ()
        return Launch(
            (
                "--output-format", "stream-json", "--approval-mode", "yolo", "--skip-trust", *model,
                "--prompt", "The task is on standard input.",
            ),
            {
                "GEMINI_API_KEY": ask.token,
                "GOOGLE_GEMINI_BASE_URL": ask.address,
                "GEMINI_CLI_TRUST_WORKSPACE": "true",
                "GEMINI_TELEMETRY_ENABLED": "false",
                "GEMINI_CLI_SYSTEM_SETTINGS_PATH": f"{ask.files}/settings.json",
                "NO_BROWSER": "true",
                **({"GEMINI_MODEL": ask.model} if ask.model else {}),
            },
            ask.prompt.encode(),
            {"settings.json": _SETTINGS},
        )  # fmt: skip

    def listen(self) -> Listener:
        """See ``Adapter.listen``."""
        return _Stream()


adapter = Gemini()
