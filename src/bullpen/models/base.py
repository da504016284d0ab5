"""The model port: a dialogue that is appended to and answers in a stream of typed deltas.

History is never handed over again: an adapter serialises each message once, when it is added, so a call costs the same
at step 10 and at step 1,000.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from bullpen.domain.money import Money


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model sees it; ``schema`` is the JSON Schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Brief:
    """What opens a dialogue. ``facts`` are typed values of the task that a rule-based model reads (rule, path, sites,
    recipe, …); a language model gets them in the prompt.
    """

    role: str
    instructions: str
    task: str
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tools: Sequence[ToolSpec] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A complete call; ``arguments`` is JSON text, checked against the tool's schema by the tool layer."""

    id: str
    tool: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a reply used."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: Money = field(default_factory=Money)


class Stop(StrEnum):
    """Why a reply ended."""

    END = "end"
    TOOLS = "tools"
    LENGTH = "length"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Done:
    """The last delta of a reply."""

    stop: Stop
    usage: Usage = field(default_factory=Usage)


Delta = Text | ToolCall | Done


@dataclass(frozen=True, slots=True)
class AssistantTurn:
    """What the model said, as it is stored and added back."""

    text: str
    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call came to. ``content`` is JSON or plain text; untrusted."""

    call_id: str
    tool: str
    content: str
    ok: bool = True


@dataclass(frozen=True, slots=True)
class PersonTurn:
    """Something a person, a judge or the platform says to the model."""

    text: str


Message = AssistantTurn | ToolResult | PersonTurn


class Dialogue(Protocol):
    """One conversation with one model. Not safe for use by two tasks at once."""

    def add(self, message: Message) -> None:
        """Append; constant time."""
        ...

    def reply(self) -> AsyncIterator[Delta]:
        """Ask for the next reply; the last delta is ``Done``. Closing the iterator cancels the call.

        Raises:
            Unavailable: the provider cannot be reached or is overloaded.
            LimitExceeded: a rate limit, a budget, or the context window.
            PermissionRefused: a wrong or missing key.
        """
        ...


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model. Prices are per million tokens; None means unknown, never free.

    ``reads_history`` is False for one that keeps its place in a dialogue instead: it is told every turn, and no summary.
    """

    provider: str
    model: str
    version: str
    context_tokens: int
    tools: bool = True
    streaming: bool = True
    input_price: Money | None = None
    output_price: Money | None = None
    reads_history: bool = True


class Provider(Protocol):
    """A source of models."""

    name: str

    def facts(self, model: str) -> ModelFacts:
        """What is known of ``model``; NotFound if the provider has no such model."""
        ...

    def open(self, model: str, brief: Brief) -> Dialogue:
        """Begin a dialogue."""
        ...
