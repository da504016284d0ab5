"""Whatever is done to a queue in memory, in whichever order, it is what a plain list would say."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.kernel.bus.desk import message

from bullpen.domain.errors import LimitExceeded
from bullpen.domain.ids import LOCAL_ORGANIZATION
from bullpen.kernel.bus.backends.base import Delivery, Limits
from bullpen.kernel.bus.backends.memory import MemoryBackend
from bullpen.kernel.bus.messages import Message, Priority

T = TypeVar("T")
QUEUE, LEASE, BOUND = "agent:ann", 10.0, 5


@dataclass
class Kept:
    """A message as the model sees it: when it can be had, and who last had it."""

    message: Message
    number: int
    deliveries: int = 0
    attempts: int = 0
    free_at: float = 0.0
    handle: str = ""
    token: str = ""


class Queue(RuleBasedStateMachine):
    """Rules are what one may do; after each, backend and model must agree."""

    @initialize()
    def begin(self) -> None:
        self.time, self.numbers = 0.0, 0
        self.backend = MemoryBackend(Limits(BOUND, LEASE), clock=lambda: self.time)
        self.kept: list[Kept] = []
        self.dead: dict[str, Kept] = {}
        self.claims: list[Delivery] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The backend never waits, so it is done at once."""
        try:
            work.send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("it waited")

    def put(self, one: Message, deliveries: int = 0) -> None:
        self.numbers += 1
        self.kept.append(Kept(one, self.numbers, deliveries))

    def leased(self, claim: Delivery) -> Kept | None:
        lease = (claim.handle, claim.token)
        return next(
            (one for one in self.kept if (one.handle, one.token) == lease and one.free_at > self.time), None
        )

    @rule(priority=st.sampled_from(Priority))
    def publish(self, priority: Priority) -> None:
        one = message("x", priority=priority)
        try:
            self.run(self.backend.publish(LOCAL_ORGANIZATION, [one]))
        except LimitExceeded:
            assert len(self.kept) == BOUND
        else:
            assert len(self.kept) < BOUND
            self.put(one)

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def publish_again(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.kept))
        self.run(self.backend.publish(LOCAL_ORGANIZATION, [one.message]))

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        free = [one for one in self.kept if one.free_at <= self.time]
        wanted = sorted(free, key=lambda one: (one.message.priority, one.number))[:limit]
        claimed = self.run(self.backend.claim(LOCAL_ORGANIZATION, [QUEUE], limit))
        for one, delivery in zip(wanted, claimed, strict=True):
            one.deliveries, one.attempts = one.deliveries + 1, one.attempts + 1
            assert delivery.message == one.message
            assert (delivery.deliveries, delivery.attempt) == (one.deliveries, one.attempts)
            assert one.handle in ("", delivery.handle)
            assert one.token != delivery.token
            one.handle, one.token, one.free_at = delivery.handle, delivery.token, self.time + LEASE
            self.claims.append(delivery)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        self.run(self.backend.ack([claim]))
        self.kept = [one for one in self.kept if one.handle != claim.handle]

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        self.run(self.backend.extend([claim]))
        if one := self.leased(claim):
            one.free_at = self.time + LEASE

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), pause=st.floats(0, 3 * LEASE))
    def retry(self, data: st.DataObject, pause: float) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        self.run(self.backend.retry(claim, pause))
        if one := self.leased(claim):
            one.free_at, one.token = self.time + pause, "given back"

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def bury(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        self.run(self.backend.bury(claim, "no"))
        if one := self.leased(claim):
            self.kept.remove(one)
            self.dead[one.message.id] = one

    @rule()
    def requeue(self) -> None:
        try:
            count = self.run(self.backend.requeue(LOCAL_ORGANIZATION, QUEUE))
        except LimitExceeded:
            assert len(self.kept) + len(self.dead) > BOUND
            return
        assert count == len(self.dead)
        for one in self.dead.values():
            self.put(one.message, one.deliveries)
        self.dead.clear()

    @rule()
    def purge(self) -> None:
        assert self.run(self.backend.purge(LOCAL_ORGANIZATION, QUEUE)) == len(self.dead)
        self.dead.clear()

    @rule(seconds=st.floats(0, 3 * LEASE))
    def time_passes(self, seconds: float) -> None:
        self.time += seconds

    @invariant()
    def depths_agree(self) -> None:
        if not hasattr(self, "backend"):
            return
        found = self.run(self.backend.depth(LOCAL_ORGANIZATION, QUEUE))
        ready = sum(1 for one in self.kept if one.free_at <= self.time)
        assert (found.ready, found.held, found.dead) == (ready, len(self.kept) - ready, len(self.dead))


TestQueue = pytest.mark.req("BUS-03", "BUS-05")(Queue.TestCase)
