"""Sending and receiving: who gets a message, how often it is tried, when it is given up, and answers to requests."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from bullpen.domain.actor import Actor
from bullpen.domain.errors import BullpenError, LimitExceeded, NotFound, Unavailable
from bullpen.kernel.bus.addresses import Address, Lookup, To, parse_address
from bullpen.kernel.bus.backends.base import LONGEST_PAUSE, Backend, Delivery, OpenBackend, Setup
from bullpen.kernel.bus.ending import end_task, heed_cancelling
from bullpen.kernel.bus.messages import FAILED, Message, Unreadable, answer_to, copy_for
from bullpen.kernel.clock import now
from bullpen.kernel.extend import ExtensionPoint

BACKENDS: ExtensionPoint[OpenBackend] = ExtensionPoint("bullpen.kernel.bus.backends", "open_backend")
LOOK_SECONDS = 0.5  # between two looks where nobody wakes us: leases and pauses end without a sound

Handler = Callable[[Delivery], Awaitable[str | None]]
"""Handles a message; what it returns is sent to the one who asked. ``BullpenError``: try again. ``Unreadable``: never."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How often a message is tried and how long the pauses between are: doubling, with up to half of it at random."""

    attempts: int = 5
    first_pause: float = 1.0
    longest_pause: float = 300.0

    def pause(self, attempt: int, chance: float) -> float:
        """Seconds after attempt number ``attempt`` (from 1); ``chance`` is in [0, 1)."""
        whole = min(self.longest_pause, LONGEST_PAUSE, self.first_pause * 2 ** min(attempt - 1, 30))
        return whole * (1 - chance / 2)


async def open_bus_backend(setup: Setup) -> Backend:
    """The backend that the URL's scheme names (``nats://…``, ``redis://…``, ``memory:``); without one, the database.

    Raises:
        NotFound: no backend of that name; the message lists those there are.
        Missing: its package is not installed.
        Unavailable: the broker does not answer, or would forget messages when it is killed.
    """
    name = setup.url.partition(":")[0] if setup.url else "database"
    return await BACKENDS.load(name)(setup)


@dataclass(frozen=True, slots=True)
class Bus:
    """Messages between agents, over a backend. ``holders`` says who is meant by an address."""

    backend: Backend
    holders: Lookup
    policy: Policy = field(default_factory=Policy)
    chance: Callable[[], float] = random.random

    # --- sending ------------------------------------------------------------------------------------------------------

    async def send(self, actor: Actor, message: Message) -> int:
        """To one of those the address means; to a topic, a copy to each. How many were sent.

        Raises:
            NotFound: the address means nobody.
            LimitExceeded: the queue is full, or the payload too large.
        """
        copies = await self.routed(actor, message)
        await self.backend.publish(actor.organization_id, copies)
        return len(copies)

    async def broadcast(self, actor: Actor, message: Message) -> int:
        """A copy to each of those the address means. How many there are; errors are those of ``send``."""
        copies = await self._copies(actor, message)
        await self.backend.publish(actor.organization_id, copies)
        return len(copies)

    async def routed(self, actor: Actor, message: Message) -> Sequence[Message]:
        """What ``send`` publishes, for those who publish it in a transaction of their own."""
        self._check_size(message)
        address = parse_address(message.to)
        if address.form is To.TOPIC:
            return await self._copies(actor, message)
        if address.form is not To.REPLY:
            await self._found(actor, address)
        return (message,)

    async def _copies(self, actor: Actor, message: Message) -> Sequence[Message]:
        self._check_size(message)
        names = await self._found(actor, parse_address(message.to))
        return [copy_for(message, name) for name in dict.fromkeys(names)]

    async def _found(self, actor: Actor, address: Address) -> Sequence[str]:
        names = await self.holders(actor.organization_id, address)
        if not names and address.form is not To.TOPIC:
            raise NotFound(
                f"Nobody is reached by {address}.", remedy="Start such an agent, or send to another address."
            )
        return names

    def _check_size(self, message: Message) -> None:
        allowed = self.backend.limits.payload_bytes
        if (
            len(message.payload) * 4 > allowed
            and len(message.payload.encode("utf-8", "surrogatepass")) > allowed
        ):
            raise LimitExceeded(
                f"The payload of {message.id} is larger than {allowed} bytes.",
                remedy="Store it, and send where it is.",
                code="payload-too-large",
            )

    # --- requests -----------------------------------------------------------------------------------------------------

    async def request(self, actor: Actor, message: Message, seconds: float) -> Message:
        """Send, and wait for the answer.

        Raises:
            Unavailable: nobody answered in time, or the message was given up; the sentence says why.
            NotFound, LimitExceeded: see ``send``.
        """
        end = now() + seconds
        deadline = min(message.deadline or end, end)
        asked = replace(message, reply_to=f"{To.REPLY}:{message.id}", deadline=deadline)
        try:
            async with asyncio.timeout(seconds), self._waking(actor, [asked.reply_to]) as waker:
                await self.send(actor, asked)
                answer = await self._next(actor, asked.reply_to, waker)
        except TimeoutError as error:
            raise Unavailable(
                f"{asked.to} did not answer {asked.kind!r} within {seconds:g} s.",
                remedy="Ask again, allow more time, or start more agents.",
                code="no-answer",
            ) from error
        finally:
            await self.backend.drop(actor.organization_id, asked.reply_to)
        if answer.kind == FAILED:
            raise Unavailable(f"{asked.to} gave up {asked.kind!r}: {answer.payload}", code="given-up")
        return answer

    async def _next(self, actor: Actor, queue: str, waker: asyncio.Event) -> Message:
        while True:
            heed_cancelling()
            waker.clear()
            for delivery in await self.backend.claim(actor.organization_id, [queue], 1):
                await self.backend.ack([delivery])
                return delivery.message
            await _woken(waker)

    async def reply(self, actor: Actor, request: Message, payload: str) -> None:
        """Answer; nothing where nobody asked, or the asker's deadline has passed."""
        if request.reply_to and not request.overdue(now()):
            await self.backend.publish(actor.organization_id, [answer_to(request, actor, payload)])

    # --- receiving ----------------------------------------------------------------------------------------------------

    async def take(self, actor: Actor, inbox: Sequence[str], limit: int = 1) -> Sequence[Delivery]:
        """Up to ``limit`` messages of these addresses that can still be handled; the others become dead letters."""
        while claimed := await self.backend.claim(actor.organization_id, inbox, limit):
            kept: list[Delivery] = []
            for delivery in claimed:
                if reason := self._given_up(delivery):
                    await self.bury(actor, delivery, reason)
                else:
                    kept.append(delivery)
            if kept:
                return kept
        return ()

    def _given_up(self, delivery: Delivery) -> str:
        """Why nobody is to be given it; empty where somebody is."""
        if delivery.fault:
            return delivery.fault
        if delivery.message.overdue(now()):
            return "its deadline has passed"
        if delivery.attempt > self.policy.attempts:
            return f"it was handed out {delivery.attempt - 1} times and never settled"
        return ""

    async def fail(self, actor: Actor, delivery: Delivery, reason: str) -> None:
        """It could not be handled: after a pause it is tried again, or given up after the last attempt."""
        if delivery.attempt >= self.policy.attempts:
            await self.bury(actor, delivery, f"it failed {delivery.attempt} times, at last: {reason}")
        else:
            await self.backend.retry(delivery, self.policy.pause(delivery.attempt, self.chance()))

    async def bury(self, actor: Actor, delivery: Delivery, reason: str) -> None:
        """Give it up. Whoever waits for an answer is told."""
        message = delivery.message
        if message.reply_to and not message.overdue(now()):
            answer = answer_to(message, actor, reason, FAILED)
            with suppress(LimitExceeded):  # the one who asked has not looked for a while
                await self.backend.publish(actor.organization_id, [answer])
        await self.backend.bury(delivery, reason)

    async def consume(self, actor: Actor, inbox: Sequence[str], handle: Handler, batch: int = 1) -> None:
        """Handle what comes to these addresses, one after the other, until cancelled.

        Leases are kept while the handler works, also of the others in a batch. While the broker does not answer, it is
        asked again. An error that is no ``BullpenError`` ends the loop; the message is tried again.
        """
        held: dict[str, Delivery] = {}
        async with self._keeping(held), self._waking(actor, inbox) as waker:
            while True:
                heed_cancelling()
                waker.clear()
                try:
                    taken = await self.take(actor, inbox, batch)
                except Unavailable:
                    taken = ()
                held.update((one.handle, one) for one in taken)
                for delivery in taken:
                    with suppress(Unavailable):  # it was not settled, so it comes again, marked
                        await self.settle(actor, delivery, handle)
                    held.pop(delivery.handle, None)
                if not taken:
                    await _woken(waker)

    async def settle(self, actor: Actor, delivery: Delivery, handle: Handler) -> None:
        """Handle one message and acknowledge it, or see to it that it is tried again."""
        unhandled = True
        try:
            answer = await handle(delivery)
            unhandled = False
        except Unreadable as error:
            unhandled = False
            await self.bury(actor, delivery, error.sentence)
            return
        except BullpenError as error:
            unhandled = False
            await self.fail(actor, delivery, error.sentence)
            return
        finally:
            if unhandled:  # a fault of the handler's, or the agent is stopped: the error goes on
                await self.backend.retry(delivery, self.policy.pause(1, self.chance()))
        if answer is not None:
            await self.reply(actor, delivery.message, answer)
        await self.backend.ack([delivery])

    @asynccontextmanager
    async def _keeping(self, held: dict[str, Delivery]) -> AsyncGenerator[None]:
        async def keep() -> None:
            while True:
                await asyncio.sleep(self.backend.limits.lease_seconds / 3)
                with suppress(Unavailable):
                    await self.backend.extend(tuple(held.values()))

        task = asyncio.create_task(keep())
        try:
            yield
        finally:
            await end_task(task)
            for delivery in held.values():  # of a batch that was interrupted
                with suppress(Unavailable):
                    await self.backend.retry(delivery, 0)

    @asynccontextmanager
    async def _waking(self, actor: Actor, inbox: Sequence[str]) -> AsyncGenerator[asyncio.Event]:
        waker = asyncio.Event()
        async with self.backend.listening(actor.organization_id, inbox, waker.set):
            yield waker


async def _woken(waker: asyncio.Event) -> None:
    """Until something comes, or it is time to look."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):
            await waker.wait()


def inbox_of(name: str, roles: Sequence[str] = (), capabilities: Sequence[str] = ()) -> tuple[str, ...]:
    """The addresses at which an agent is reached.

    Raises:
        InvalidInput: one of the names cannot be part of an address.
    """
    own = [
        (To.AGENT, name),
        *((To.ROLE, one) for one in roles),
        *((To.CAPABILITY, one) for one in capabilities),
    ]
    return tuple(str(parse_address(f"{form}:{text}")) for form, text in own)
