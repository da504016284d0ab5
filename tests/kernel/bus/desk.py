"""What the tests of the bus share: a bus over a backend, messages, and waiting for what must come."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from bullpen.domain.actor import Actor, agent_actor
from bullpen.domain.ids import LOCAL_ORGANIZATION, OrganizationId
from bullpen.kernel.bus.addresses import Address
from bullpen.kernel.bus.backends.base import Backend, Delivery, Setup
from bullpen.kernel.bus.bus import BACKENDS, Bus, Policy
from bullpen.kernel.bus.messages import Message, Priority, new_message

ANN = agent_actor(LOCAL_ORGANIZATION, "ann")
STRANGER = agent_actor(OrganizationId("elsewhere"), "ann")
QUICK = Policy(attempts=3, first_pause=0.0)
INBOX = ("agent:ann",)
WITHIN_SECONDS = 60


@dataclass
class Desk:
    """A bus, and who holds which address. Names of agents mean themselves."""

    backend: Backend
    holders: dict[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    policy: Policy = QUICK

    @property
    def bus(self) -> Bus:
        return Bus(self.backend, self.look_up, self.policy, chance=lambda: 0.0)

    async def look_up(self, organization: OrganizationId, address: Address) -> Sequence[str]:
        known: Mapping[str, Sequence[str]] = {"agent:ann": ["ann"], "agent:bob": ["bob"], **self.holders}
        return known.get(str(address), ()) if organization == LOCAL_ORGANIZATION else ["ann"]

    async def send(self, *payloads: str, to: str = "agent:ann", **how: object) -> list[Message]:
        """One message for each payload."""
        sent = [message(payload, to, **how) for payload in payloads]
        for one in sent:
            await self.bus.send(ANN, one)
        return sent

    async def take(self, *inbox: str, limit: int = 1) -> list[Delivery]:
        return [*await self.bus.take(ANN, inbox or INBOX, limit)]

    async def take_all(self, *inbox: str) -> list[str]:
        """Payloads of everything that is to be had now, acknowledged."""
        found: list[str] = []
        while taken := await self.take(*inbox, limit=7):
            await self.backend.ack(taken)
            found += [one.message.payload for one in taken]
        return found

    async def take_soon(self, *inbox: str) -> Delivery:
        """The next one, when it comes."""
        async with self.waker(*inbox) as waker:
            while True:
                waker.clear()
                if taken := await self.take(*inbox):
                    return taken[0]
                await woken(waker)

    @asynccontextmanager
    async def waker(self, *inbox: str) -> AsyncIterator[asyncio.Event]:
        waker = asyncio.Event()
        listening = self.backend.listening(LOCAL_ORGANIZATION, inbox or INBOX, waker.set)
        async with asyncio.timeout(WITHIN_SECONDS), listening:
            yield waker

    async def depth(self, queue: str = "agent:ann") -> tuple[int, int, int]:
        found = await self.backend.depth(LOCAL_ORGANIZATION, queue)
        return found.ready, found.held, found.dead

    async def reasons(self, queue: str = "agent:ann") -> list[str]:
        return [letter.reason for letter in await self.backend.dead_letters(LOCAL_ORGANIZATION, queue)]


def message(payload: str, to: str = "agent:ann", **how: object) -> Message:
    """One with a plain payload; an ``id`` may be given."""
    made = new_message(ANN, to, "note", payload, priority=Priority(how.pop("priority", Priority.NORMAL)))
    return replace(made, **how)  # type: ignore[arg-type]


async def woken(waker: asyncio.Event) -> None:
    """Something came, or a short while has passed."""
    try:
        async with asyncio.timeout(0.05):
            await waker.wait()
    except TimeoutError:
        return


async def opened(name: str, setup: Setup) -> Backend:
    """A backend by name."""
    return await BACKENDS.load(name)(setup)


def actor_of(organization: str) -> Actor:
    """Somebody there."""
    return agent_actor(OrganizationId(organization), "ann")
