"""Where a message goes: ``agent:qa-1``, ``role:reviewer``, ``capability:python``, ``topic:builds``, ``reply:msg-1``.

The text of an address is the name of a queue. One of a role or of a capability is shared: whoever of its holders is
free takes the next message, and when one dies another takes over.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import OrganizationId

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/+#-]{0,99}", re.ASCII)


class To(StrEnum):
    """The forms of an address."""

    AGENT = "agent"  # this one, by name
    ROLE = "role"  # one of those who have it
    CAPABILITY = "capability"  # one of those who have it
    TOPIC = "topic"  # everyone who follows it, a copy each
    REPLY = "reply"  # whoever waits for the answer to one request


@dataclass(frozen=True, slots=True)
class Address:
    """A form and a name; its text is a queue's name."""

    form: To
    name: str

    def __str__(self) -> str:
        return f"{self.form}:{self.name}"


Lookup = Callable[[OrganizationId, Address], Awaitable[Sequence[str]]]
"""Names of the agents of an organization that an address means; empty where there are none."""


def parse_address(text: str) -> Address:
    """An address from its text.

    Raises:
        InvalidInput: another form, or a name that is empty, longer than 100 characters, or holds other characters than
            letters, digits and ``._@/+#-``.
    """
    form, _, name = text.partition(":")
    if form not in set(To) or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{text[:120]!r} is no address.",
            remedy=f"Write FORM:NAME, with one of {', '.join(To)} and a name of letters, digits and ._@/+#-",
        )
    return Address(To(form), name)
