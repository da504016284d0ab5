"""What is sent between agents: an envelope, and in it a payload of JSON text that both ends understand."""

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from bullpen.domain.actor import Actor
from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import derived_id, new_id
from bullpen.kernel.bus.addresses import parse_address
from bullpen.kernel.clock import now
from bullpen.kernel.json_text import dump, load

T = TypeVar("T")

FAILED = "failed"  # the kind of an answer that says why there will be none


class Unreadable(InvalidInput):
    """A message that cannot be understood, now or ever; it goes to the dead letters at once."""

    code = "unreadable-message"


class Priority(IntEnum):
    """The lower is served first; of one priority, the older."""

    URGENT = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


@dataclass(frozen=True, slots=True)
class Message:
    """An envelope. Times are seconds since 1970, UTC; a ``deadline`` of 0 is none.

    ``to`` is the queue it is in. A copy of a broadcast has the address that was written in ``via``. ``kind`` says what
    the payload is. ``correlation_id`` joins everything that belongs to one conversation. An answer is sent to
    ``reply_to``, if there is one.
    """

    id: str
    sender: str
    to: str
    kind: str
    payload: str
    via: str = ""
    correlation_id: str = ""
    reply_to: str = ""
    priority: Priority = Priority.NORMAL
    deadline: float = 0.0
    sent_at: float = 0.0

    def overdue(self, at: float) -> bool:
        """Whether its deadline has passed."""
        return 0 < self.deadline < at


def new_message(
    actor: Actor,
    to: str,
    kind: str,
    payload: str,
    *,
    priority: Priority = Priority.NORMAL,
    deadline: float = 0.0,
    correlation_id: str = "",
) -> Message:
    """A message that is ready to be sent. Sent again, as it is, it is still one message.

    Raises:
        InvalidInput: ``to`` is no address.
    """
    name = new_id("msg", 20)
    return Message(
        name,
        actor.id,
        str(parse_address(to)),
        kind,
        payload,
        correlation_id=correlation_id or name,
        priority=priority,
        deadline=deadline,
        sent_at=now(),
    )


def answer_to(request: Message, actor: Actor, payload: str, kind: str = "") -> Message:
    """The answer to a request; made again, it has the same id, so a handler that runs twice answers once."""
    return replace(
        request,
        id=derived_id("msg", "answer", request.id, length=20),
        sender=actor.id,
        to=request.reply_to,
        kind=kind or request.kind,
        payload=payload,
        via="",
        reply_to="",
        sent_at=now(),
    )


def copy_for(message: Message, agent: str) -> Message:
    """The copy of a broadcast for one of its receivers; made again, it has the same id."""
    name = derived_id("msg", "copy", message.id, agent, length=20)
    return replace(message, id=name, to=f"agent:{agent}", via=message.via or message.to)


@cache
def _adapter() -> TypeAdapter[Message]:
    return TypeAdapter(Message)


def seal(message: Message) -> str:
    """An envelope as JSON text in ASCII."""
    return dump(_adapter(), message)


def unseal(text: str | bytes, queue: str) -> tuple[Message, str]:
    """The envelope back, and what is wrong with it; of one that cannot be read, an empty one around the whole text."""
    try:
        return load(_adapter(), text), ""
    except ValueError as error:  # pydantic's, or the text is no UTF-8
        shown = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
        return Message("", "", queue, "", shown), f"the envelope cannot be read: {_first_line(error)}"


def read_payload(message: Message, adapter: TypeAdapter[T]) -> T:
    """What is in a message.

    Raises:
        Unreadable: it has another shape.
    """
    try:
        return load(adapter, message.payload)
    except ValidationError as error:
        raise Unreadable(
            f"The payload of {message.id} is no {message.kind!r}: {_first_line(error)}."
        ) from error


def _first_line(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
    return str(error).split("\n", 1)[0]
