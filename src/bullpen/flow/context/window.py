"""A dialogue that keeps within its model's window: when it grows beyond, older steps become a summary.

The one seam between the loop and the choice of context. Adding a message costs one estimate; nothing is read back until
the window is full, and then as much is dropped that it takes long to fill again.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from bullpen.flow.context.compact import compact
from bullpen.flow.context.tokens import Estimate, estimate_tokens, message_tokens
from bullpen.models.base import Brief, Delta, Dialogue, Message
from bullpen.models.registry import Models

REPLY_SHARE = 0.2  # of a window, left free for the reply


@dataclass(slots=True)
class WindowedDialogue:
    """See ``Dialogue``. ``room`` is for everything added, in tokens; ``opened`` begins a dialogue anew."""

    brief: Brief
    room: int
    opened: Callable[[Brief], Dialogue]
    estimate: Estimate = estimate_tokens
    compactions: int = 0
    _inner: Dialogue = field(init=False)
    _turns: list[Message] = field(default_factory=list[Message])
    _tokens: int = 0
    _summary: str = ""

    def __post_init__(self) -> None:
        self._inner = self.opened(self.brief)

    def add(self, message: Message) -> None:
        """See ``Dialogue.add``."""
        self._inner.add(message)
        self._turns.append(message)
        self._tokens += message_tokens(message, self.estimate)

    def reply(self) -> AsyncIterator[Delta]:
        """See ``Dialogue.reply``."""
        if self._tokens > self.room:
            self._compact()
        return self._inner.reply()

    def _compact(self) -> None:
        compacted = compact(self._turns, self.room, self.estimate)
        if not compacted.steps:
            return  # one step alone is too large; the provider says so
        self._summary = self._joined(compacted.summary)
        self._inner = self.opened(replace(self.brief, task=f"{self.brief.task}\n\n{self._summary}"))
        self._turns = list(compacted.kept)
        for message in self._turns:
            self._inner.add(message)
        kept = sum(message_tokens(message, self.estimate) for message in self._turns)
        self._tokens = kept + self.estimate(self._summary)
        self.compactions += 1

    def _joined(self, newer: str) -> str:
        """The summary until now and the newer one; of the older as much as leaves room, its end first."""
        if not self._summary:
            return newer
        lines = [*self._summary.split("\n"), *newer.split("\n")[1:]]
        head, rest = lines[0], lines[1:]
        room = self.room // 3 - self.estimate(head)
        start = len(rest)
        while start and (room := room - self.estimate(rest[start - 1]) - 1) >= 0:
            start -= 1
        return "\n".join([head, *rest[start:]])


@dataclass(frozen=True, slots=True)
class WindowedModels(Models):
    """See ``Models``; dialogues with a model whose window is known keep within it."""

    def open(self, name: str, brief: Brief) -> Dialogue:
        """See ``Models.open``."""
        facts = self.facts(name)
        begin = super(WindowedModels, self).open
        if not facts.reads_history:
            return begin(name, brief)
        tools = sum(estimate_tokens(f"{one.description}{one.schema}") for one in brief.tools)
        fixed = estimate_tokens(brief.instructions) + estimate_tokens(brief.task) + tools
        room = max(1, int(facts.context_tokens * (1 - REPLY_SHARE)) - fixed)
        return WindowedDialogue(brief, room, lambda again: begin(name, again))


def windowed(models: Models) -> Models:
    """The same models, whose dialogues keep within their windows."""
    return WindowedModels(models.aliases, models.own)
