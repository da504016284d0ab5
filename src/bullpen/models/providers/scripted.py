"""A model that plays a queue of replies, delays and errors: for tests, demonstrations and local work.

The queue comes from code (``Scripted((say(...), call(...)))``) or from a JSON file (``scripted:/path/queue.json``): a
list of objects such as ``{"text": "hello", "calls": [{"tool": "finish", "arguments": {"summary": "done"}}]}``,
``{"error": "rate-limit"}``, ``{"error": "cut", "text": "I was say"}`` or ``{"delay": 0.5, "text": "late"}``.
``arguments`` given as a string are sent as they are, so a malformed call can be played too.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from bullpen.domain.errors import BullpenError, InvalidInput, LimitExceeded, PermissionRefused, Unavailable
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
    Usage,
)
from bullpen.models.history import History

Failure = Literal["rate-limit", "overloaded", "context", "key", "cut"]


class ScriptedCall(BaseModel):
    """One tool call; ``arguments`` as a string goes out unchanged."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    tool: str
    arguments: dict[str, Any] | str = {}
    id: str = ""


class ScriptedReply(BaseModel):
    """One reply. ``delay`` is in seconds; ``cost_micro_usd`` and the tokens are what it claims to have used."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    text: str = ""
    calls: tuple[ScriptedCall, ...] = ()
    error: Failure | None = None
    delay: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micro_usd: int = 0


_QUEUE = TypeAdapter(tuple[ScriptedReply, ...])


def say(text: str) -> ScriptedReply:
    """A reply of text alone."""
    return ScriptedReply(text=text)


def call(tool: str, /, **arguments: Any) -> ScriptedReply:
    """A reply of one tool call."""
    return ScriptedReply(calls=(ScriptedCall(tool=tool, arguments=arguments),))


def fail(error: Failure, text: str = "") -> ScriptedReply:
    """A reply that fails, after ``text`` if it is cut."""
    return ScriptedReply(error=error, text=text)


@dataclass(slots=True)
class ScriptedDialogue:
    """Plays its queue. ``shown`` holds what the model was shown, serialised as a wire adapter would."""

    queue: Sequence[ScriptedReply]
    shown: History = field(default_factory=History)
    played: int = 0
    asked: bool = False

    def add(self, message: Message) -> None:
        """See ``Dialogue.add``. A turn that was not asked for here is one of a run that goes on after a crash."""
        self.shown.add({"kind": type(message).__name__, **asdict(message)})
        if isinstance(message, AssistantTurn):
            if not self.asked:
                self._pass_over()
            self.asked = False

    async def reply(self) -> AsyncIterator[Delta]:
        """See ``Dialogue.reply``. A queue that is used up answers with text alone."""
        index, self.played, self.asked = self.played, self.played + 1, True
        scripted = self.queue[index] if index < len(self.queue) else say("I have nothing more to say.")
        if scripted.delay:
            await asyncio.sleep(scripted.delay)
        if scripted.error and scripted.error != "cut":
            raise _error(scripted.error)
        if scripted.text:
            yield Text(scripted.text)
        if scripted.error == "cut":
            raise _error("cut")
        for position, one in enumerate(scripted.calls):
            yield _call(one, f"s{index}.{position}")
        yield _done(scripted)

    def _pass_over(self) -> None:
        while self.played < len(self.queue) and self.queue[self.played].error:
            self.played += 1
        self.played += 1


@dataclass(frozen=True, slots=True)
class Scripted:
    """The provider. Without a queue of its own, a model's name is the path of a JSON file."""

    queue: tuple[ScriptedReply, ...] | None = None
    name: str = "scripted"

    @classmethod
    def of(cls, replies: Iterable[ScriptedReply]) -> "Scripted":
        """A provider whose every dialogue plays ``replies`` from the start."""
        return cls(tuple(replies))

    def facts(self, model: str) -> ModelFacts:
        """See ``Provider.facts``: a script costs nothing."""
        return ModelFacts(
            self.name, model, "1", 1_000_000, input_price=Money(), output_price=Money(), reads_history=False
        )

    def open(self, model: str, brief: Brief) -> Dialogue:
        """See ``Provider.open``; InvalidInput names what is wrong with the file."""
        return ScriptedDialogue(self.queue if self.queue is not None else read_queue(Path(model)))


def read_queue(path: Path) -> tuple[ScriptedReply, ...]:
    """The replies in a JSON file.

    Raises:
        InvalidInput: the file is missing or is not such a list; the message says where.
    """
    try:
        return _QUEUE.validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"The script {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidInput(
            f"The script {path} is wrong at {place or 'its start'}: {first['msg']}."
        ) from error


def _call(one: ScriptedCall, position: str) -> ToolCall:
    text = one.arguments if isinstance(one.arguments, str) else json.dumps(one.arguments)
    return ToolCall(one.id or position, one.tool, text)


def _done(scripted: ScriptedReply) -> Done:
    usage = Usage(scripted.input_tokens, 0, scripted.output_tokens, Money(scripted.cost_micro_usd))
    return Done(Stop.TOOLS if scripted.calls else Stop.END, usage)


def _error(failure: Failure) -> BullpenError:
    match failure:
        case "rate-limit":
            return LimitExceeded("The provider's rate limit was reached.", code="rate-limit")
        case "overloaded":
            return Unavailable("The provider is overloaded.")
        case "context":
            return LimitExceeded("The dialogue no longer fits the model's context.", code="context")
        case "key":
            return PermissionRefused("The provider does not accept the key.")
        case "cut":
            return Unavailable("The reply was cut off.", code="cut")


PROVIDER = Scripted()
