"""aider (``aider --message-file``): plain text, with a line of tokens and cost after each reply."""

import re
from dataclasses import dataclass

from bullpen.agents.base import Used
from bullpen.agents.coding_clis.base import Ask, Heard, Launch, Listener, Said, cost_in

_TOKENS = re.compile(r"^Tokens: ([\d.,]+)([kM]?) sent, (?:.*, )?([\d.,]+)([kM]?) received")
_COST = re.compile(r"Cost: \$([\d.]+) message")
_EDIT = re.compile(r"^Applied edit to (.+)$")
_TIMES = {"": 1, "k": 1_000, "M": 1_000_000}
_FAILURES = ("litellm.", "Can't initialize", "The API provider")
_LONGEST = 16_384


@dataclass(slots=True)
class _Stream:
    """Text up to the line of tokens is one reply; its summary is the last one."""

    text: str = ""
    last: str = ""
    failure: str = ""

    def hear(self, line: bytes) -> Heard | None:
        """See ``Listener.hear``."""
        said = line.decode("utf-8", "replace").rstrip()
        if found := _EDIT.match(said):
            return Heard(calls=(("", "edit", found[1]),))
        if found := _TOKENS.match(said):
            text, self.text = self.text.strip(), ""
            self.last = text or self.last
            cost = _COST.search(said)
            used = Used(
                _tokens(found[1], found[2]),
                _tokens(found[3], found[4]),
                cost_in({"cost": cost[1] if cost else None}, "cost"),
            )
            return Heard(text, used=used)
        if said.startswith(_FAILURES):
            self.failure = said
            return Heard(text=said)
        self.text = f"{self.text}{said}\n"[-_LONGEST:]
        return None

    def end(self) -> Said | None:
        """See ``Listener.end``."""
        if self.failure:
            return Said(ok=False, summary=self.failure)
        return Said(ok=True, summary=self.last) if self.last else None


def _tokens(number: str, unit: str) -> int:
    try:
        return int(float(number.replace(",", "")) * _TIMES[unit])
    except (ValueError, OverflowError):
        return 0


@dataclass(frozen=True, slots=True)
class Aider:
    """See ``Adapter``. It speaks to an OpenAI-compatible interface."""

    program: str = "aider"
    install: str = "pip install aider-chat, where the sandbox sees it: below /usr"
    upstream: str = "https://api.openai.com"
    acp: tuple[str, ...] = ()

    def launch(self, ask: Ask) -> Launch:
        """See ``Adapter.launch``. Committing is left to Bullpen."""
        model = f"openai/{ask.model or 'gpt-5'}"
        return Launch(
            (
                "--yes-always", "--no-auto-commits", "--no-dirty-commits", "--no-gitignore", "--no-pretty", "--no-stream",
                "--no-check-update", "--no-analytics", "--no-show-release-notes", "--model", model,
                "--chat-history-file", "/dev/null", "--input-history-file", "/dev/null", "--message-file", "/dev/stdin",
            ),
            {"OPENAI_API_BASE": f"{ask.address}/v1", "OPENAI_API_KEY": ask.token},
            ask.prompt.encode(),
        )  # fmt: skip

    def listen(self) -> Listener:
        """See ``Adapter.listen``."""
        return _Stream()


adapter = Aider()
