"""What a channel is given and must offer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bullpen.domain.ids import SessionId


@dataclass(frozen=True, slots=True)
class Summary:
    """A session in a few lines of Markdown. ``at`` is its last event, in seconds since 1970."""

    session: SessionId
    title: str
    text: str
    at: float


class Channel(Protocol):
    """A place summaries are posted to; posting the same again changes nothing that people see."""

    async def post(self, summary: Summary, home: Path) -> str:
        """Post, and say where in a few words. ``home`` is Bullpen's.

        Raises:
            BullpenError: it cannot be posted, and why.
        """
        ...
