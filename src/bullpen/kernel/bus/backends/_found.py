"""What both databases answer on the path that every message takes: put, claimed, settled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bullpen.kernel.bus.messages import Message


class Found(NamedTuple):
    """A row that was claimed, with this delivery counted."""

    position: int
    queue: str
    priority: int
    body: str
    deliveries: int
    attempts: int

    def order(self) -> tuple[int, int]:
        """The urgent first, then the older."""
        return self.priority, self.position


@dataclass(frozen=True, slots=True)
class Search:
    """What is to be claimed. ``at`` None is the server's clock; what is held beyond ``horizon`` seconds is free."""

    organization: str
    queues: Sequence[str]
    limit: int
    at: float | None
    lease: float
    horizon: float


class HotPath(Protocol):
    """Past SQLAlchemy, to the driver: SQLAlchemy costs more for each row than the database does."""

    async def put(
        self, organization: str, messages: Sequence[Message], bound: int, settled: Sequence[int]
    ) -> bool:
        """Settle, and put where every queue has room for all. Otherwise none is put, and the answer is False.

        It may also be False where all were there already.
        """
        ...

    async def claim(self, search: Search, token: str) -> Sequence[Found]:
        """Lease them; the urgent first, then the older."""
        ...
