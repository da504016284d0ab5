"""Messages between the agents of a team, over the bus.

A letter is posted in the transaction that records the work it came from, and settled in the one that makes a task of
it: whichever process is killed in between, it is neither lost nor answered twice. Where a broker is set, the database
is the outbox: what was committed is handed on to the broker, and comes back from there with what other processes sent.
What comes twice makes the same task, so it is one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bullpen.domain.actor import Actor, agent_actor
from bullpen.domain.errors import BullpenError, InvalidInput
from bullpen.domain.events.team import MessagePosted
from bullpen.domain.ids import OrganizationId, SessionId, TaskId, derived_id
from bullpen.flow.teams.base import Letter, Member
from bullpen.kernel.bus.addresses import Address, To, parse_address
from bullpen.kernel.bus.backends.base import Backend, Delivery, Setup
from bullpen.kernel.bus.backends.database import DatabaseBackend, open_backend
from bullpen.kernel.bus.bus import Bus
from bullpen.kernel.bus.messages import Message
from bullpen.kernel.clock import now
from bullpen.kernel.storage.database import Database
from bullpen.kernel.storage.unit_of_work import UnitOfWork

AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Mail:
    """The post office of one team: its addresses are its own, also where another team has agents of the same names."""

    bus: Bus
    backend: DatabaseBackend
    broker: Bus | None
    actor: Actor
    session: SessionId
    inbox: tuple[str, ...]

    async def post(self, uow: UnitOfWork, task: TaskId, agent: str, letters: Sequence[Letter]) -> None:
        """Send them when, and only if, the transaction commits.

        Raises:
            NotFound: nobody is reached by an address.
            LimitExceeded: somebody's queue is full.
        """
        for message in self.messages(task, agent, letters):
            await self.backend.publish_within(uow, await self.bus.routed(self.actor, message))
            to = message.to.replace(f"{self.session}/", "", 1)
            uow.record(self.session, MessagePosted(task, message.id, agent, to, message.kind))

    def messages(self, task: TaskId, agent: str, letters: Sequence[Letter]) -> list[Message]:
        """What these letters are on the bus; the same work gives the same messages."""
        sender = agent_actor(self.actor.organization_id, agent).id
        return [
            Message(
                derived_id("msg", self.session, task, str(number), length=20),
                sender,
                qualified(self.session, one.to),
                one.kind,
                one.payload,
                sent_at=now(),
            )
            for number, one in enumerate(letters)
        ]

    async def fetch(self) -> Sequence[Delivery]:
        """What has come for members of the team.

        Raises:
            Unavailable: the broker does not answer; what was posted is kept until it does.
        """
        if self.broker is None:
            return await self.bus.take(self.actor, self.inbox, AT_ONCE)
        while posted := await self.bus.take(self.actor, self.inbox, AT_ONCE):
            await self.broker.backend.publish(self.actor.organization_id, [one.message for one in posted])
            await self.backend.ack(posted)
        return await self.broker.take(self.actor, self.inbox, AT_ONCE)

    async def settle(self, uow: UnitOfWork, deliveries: Sequence[Delivery]) -> None:
        """They are taken care of, when the transaction commits; of a broker, with ``settled`` after it."""
        for one in deliveries if self.broker is None else ():
            await self.backend.ack_within(uow, one)

    async def settled(self, deliveries: Sequence[Delivery]) -> None:
        """The transaction has committed."""
        if self.broker is not None:
            await self.broker.backend.ack(deliveries)


async def open_mail(
    database: Database,
    actor: Actor,
    session: SessionId,
    members: Mapping[str, Member],
    bus: Backend | None = None,
) -> Mail:
    """The post office of a team, with an inbox for every member and every capability; ``bus`` may be a broker."""
    backend = await open_backend(Setup(database=database))
    able: dict[str, list[str]] = {}
    for one in members.values():
        able.setdefault(f"{To.AGENT}:{one.id}", []).append(one.id)
        for capability in one.capabilities:
            able.setdefault(f"{To.CAPABILITY}:{capability}", []).append(one.id)
    known = {qualified(session, address): names for address, names in able.items()}

    async def holders(_organization: OrganizationId, address: Address) -> Sequence[str]:
        return known.get(str(address), ())

    broker = None if bus is None or isinstance(bus, DatabaseBackend) else Bus(bus, holders)
    return Mail(Bus(backend, holders), backend, broker, actor, session, tuple(known))


def qualified(session: SessionId, text: str) -> str:
    """An address within one team.

    Raises:
        InvalidInput: it is none, or of a form agents of a team do not use.
    """
    form, _, name = text.partition(":")
    if form not in (To.AGENT, To.CAPABILITY):
        raise InvalidInput(
            f"{text[:120]!r} is no address within a team.", remedy="Write agent:NAME or capability:NAME."
        )
    return str(parse_address(f"{form}:{session}/{name}"))


def addressee(message: Message) -> str:
    """The capability a task has that is made of a message: every agent has one of its own name, ``agent:NAME``."""
    form, _, name = message.to.partition(":")
    short = name.partition("/")[2]
    return f"{To.AGENT}:{short}" if form == To.AGENT else short


def fault_in(session: SessionId, known: frozenset[str], letters: Sequence[Letter]) -> str:
    """Why these letters cannot be sent; empty if they can. Asked before anything is recorded."""
    for one in letters:
        try:
            address = qualified(session, one.to)
        except BullpenError as error:
            return error.sentence
        if address not in known:
            return f"Nobody in the team is reached by {one.to}."
    return ""
