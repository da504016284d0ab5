"""What every backend of the message bus must offer. What to do with a message is decided above it, in ``bus.py``.

A queue belongs to an organization and is named by an address. It serves by priority, then by age. A message that is
claimed is leased: nobody else is given it until it is settled (acknowledged, given back, buried) or the lease ends.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bullpen.domain.errors import LimitExceeded, Unavailable
from bullpen.domain.ids import OrganizationId
from bullpen.kernel.bus.messages import Message
from bullpen.kernel.storage.database import Database

LONGEST_PAUSE = 3600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Of every queue: messages it holds, seconds of a lease, bytes of a payload."""

    bound: int = 10_000
    lease_seconds: float = 60.0
    payload_bytes: int = 512 * 1024

    @property
    def horizon(self) -> float:
        """No lease and no pause is longer. One that ends later was begun before the clock was set back: it is over."""
        return max(self.lease_seconds, LONGEST_PAUSE) + 1


@dataclass(frozen=True, slots=True)
class Setup:
    """What a backend is opened with. ``url`` is a broker's address; ``database`` is where the records are."""

    limits: Limits = field(default_factory=Limits)
    url: str = ""
    database: Database | None = None


class Delivery(NamedTuple):
    """A message that was handed out, under a lease.

    ``deliveries`` counts how often it was, this time included, over its whole life; ``attempt`` since it was last put
    into its queue. ``handle`` and ``token`` are the backend's: which entry, and which lease of it. ``fault`` says why
    the envelope cannot be read.
    """

    message: Message
    organization: OrganizationId
    queue: str
    handle: str
    token: str
    deliveries: int
    attempt: int
    fault: str = ""

    @property
    def redelivered(self) -> bool:
        """It may have been handled before."""
        return self.deliveries > 1


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message nobody will be given any more, and why. ``id`` names it to ``requeue`` and ``purge``."""

    id: str
    message: Message
    reason: str
    deliveries: int
    at: float


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages a queue has: to be had now, leased or in a pause, dead."""

    ready: int = 0
    held: int = 0
    dead: int = 0


class Backend(Protocol):
    """Keeps messages. Every call may raise ``Unavailable`` where the broker or the database does not answer.

    A message that was published, and not yet acknowledged or purged, is in its queue or among the dead letters,
    whichever process is killed at whichever moment.
    """

    @property
    def limits(self) -> Limits:
        """Those it was opened with."""
        ...

    async def publish(self, organization: OrganizationId, messages: Sequence[Message]) -> None:
        """Put each into the queue ``to``. One whose id is in that queue already changes nothing.

        Raises:
            LimitExceeded: a queue is full. Brokers may have taken some; sending all of them again is safe.
        """
        ...

    async def claim(
        self, organization: OrganizationId, queues: Sequence[str], limit: int
    ) -> Sequence[Delivery]:
        """Up to ``limit`` messages of these queues, the most urgent and oldest first; at once, also if there are none.

        The delivery is counted before it is handed out. A backend that cannot be sure counts one more.
        """
        ...

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """They are handled: they go. Also where the lease has ended; what is gone already is no error."""
        ...

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        """Their leases begin anew, where they have not ended."""
        ...

    async def retry(self, delivery: Delivery, seconds: float) -> None:
        """Give it back, to be had again after a pause of at most ``LONGEST_PAUSE``; nothing where the lease has ended."""
        ...

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """Move it to the dead letters; nothing where the lease has ended."""
        ...

    async def depth(self, organization: OrganizationId, queue: str) -> Depth:
        """How many there are."""
        ...

    async def dead_letters(
        self, organization: OrganizationId, queue: str, limit: int = 100
    ) -> Sequence[DeadLetter]:
        """The dead letters of a queue, oldest first."""
        ...

    async def dead_queues(self, organization: OrganizationId) -> Sequence[str]:
        """The queues that have dead letters, by name."""
        ...

    async def requeue(
        self, organization: OrganizationId, queue: str, ids: Sequence[str] | None = None
    ) -> int:
        """Put dead letters (all, or these) back into their queue, with their count of deliveries. How many there were.

        Raises:
            LimitExceeded: the queue is full.
        """
        ...

    async def purge(self, organization: OrganizationId, queue: str, ids: Sequence[str] | None = None) -> int:
        """Forget dead letters (all, or these). How many there were."""
        ...

    async def drop(self, organization: OrganizationId, queue: str) -> None:
        """Forget a queue with all that is in it."""
        ...

    def listening(
        self, organization: OrganizationId, queues: Sequence[str], wake: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        """While it is open, ``wake`` is called when there may be something new in these queues."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...


OpenBackend = Callable[[Setup], Awaitable[Backend]]
"""What a backend's file offers as ``open_backend``."""


def full(queue: str, bound: int) -> LimitExceeded:
    """The refusal of a queue that is full."""
    return LimitExceeded(
        f"The queue {queue} is full: it holds {bound} messages.",
        remedy="Send again later, or let more agents work on it.",
        code="queue-full",
        data={"queue": queue, "bound": str(bound)},
    )


def not_answering(broker: str, error: Exception) -> Unavailable:
    """A broker that cannot be reached or refuses."""
    return Unavailable(
        f"{broker} does not answer: {str(error).split(chr(10), 1)[0] or type(error).__name__}.",
        remedy="Check the address of the bus and that the server runs.",
    )
