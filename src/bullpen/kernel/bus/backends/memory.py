"""In this process's memory: the fastest, for tests and for what need not outlive the process."""

import heapq
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from operator import itemgetter

from bullpen.domain.ids import OrganizationId
from bullpen.kernel.bus.backends._wakes import Wakes
from bullpen.kernel.bus.backends.base import (
    LONGEST_PAUSE,
    DeadLetter,
    Delivery,
    Depth,
    Limits,
    Setup,
    full,
)
from bullpen.kernel.bus.messages import Message
from bullpen.kernel.clock import now


@dataclass(slots=True)
class _Entry:
    """A message in its queue. ``lease`` changes with each lease and is 0 while it is to be had."""

    message: Message
    number: int
    deliveries: int = 0
    attempts: int = 0
    lease: int = 0
    until: float = 0.0


@dataclass(slots=True)
class _Queue:
    """``ready`` is a heap of (priority, number), ``held`` one of (until, lease, number), also of leases that are past."""

    entries: dict[int, _Entry] = field(default_factory=dict[int, _Entry])
    numbers: dict[str, int] = field(default_factory=dict[str, int])
    ready: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    held: list[tuple[float, int, int]] = field(default_factory=list[tuple[float, int, int]])
    dead: dict[str, DeadLetter] = field(default_factory=dict[str, DeadLetter])

    def put(self, entry: _Entry) -> None:
        """Behind those of its priority."""
        self.entries[entry.number] = entry
        self.numbers[entry.message.id] = entry.number
        heapq.heappush(self.ready, (entry.message.priority, entry.number))

    def remove(self, number: int) -> None:
        """It is settled."""
        entry = self.entries.pop(number, None)
        if entry is not None:
            del self.numbers[entry.message.id]

    def release(self, at: float) -> None:
        """What was held and is not any more, can be had again."""
        while self.held and self.held[0][0] <= at:
            until, lease, number = heapq.heappop(self.held)
            entry = self.entries.get(number)
            if entry is not None and (entry.lease, entry.until) == (lease, until):
                entry.lease = 0
                heapq.heappush(self.ready, (entry.message.priority, number))

    def first(self) -> tuple[int, int] | None:
        """The next one to be had; what was settled after its lease had ended is passed over."""
        while self.ready:
            entry = self.entries.get(self.ready[0][1])
            if entry is not None and not entry.lease:
                return self.ready[0]
            heapq.heappop(self.ready)
        return None

    def hold(self, entry: _Entry, lease: int, until: float) -> None:
        """Nobody is given it until then."""
        entry.lease, entry.until = lease, until
        heapq.heappush(self.held, (until, lease, entry.number))


@dataclass(slots=True)
class MemoryBackend:
    """See ``Backend``. Its clock is one that is never set."""

    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], float] = time.monotonic
    _queues: dict[tuple[str, str], _Queue] = field(default_factory=dict[tuple[str, str], _Queue])
    _wakes: Wakes = field(default_factory=Wakes)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    async def publish(self, organization: OrganizationId, messages: Sequence[Message]) -> None:
        """See ``Backend.publish``; all of them or none."""
        fresh = self._fresh(organization, messages)
        for (queue, _), message in fresh.items():
            self._queue(organization, queue).put(_Entry(message, next(self._numbers)))
        for queue in {queue for queue, _ in fresh}:
            self._wakes.ring(organization, queue)

    def _fresh(
        self, organization: OrganizationId, messages: Sequence[Message]
    ) -> dict[tuple[str, str], Message]:
        fresh: dict[tuple[str, str], Message] = {}
        added: dict[str, int] = {}
        for message in messages:
            queue = self._queue(organization, message.to)
            if message.id in queue.numbers or (message.to, message.id) in fresh:
                continue
            fresh[message.to, message.id] = message
            added[message.to] = added.get(message.to, 0) + 1
            if len(queue.entries) + added[message.to] > self.limits.bound:
                raise full(message.to, self.limits.bound)
        return fresh

    async def claim(
        self, organization: OrganizationId, queues: Sequence[str], limit: int
    ) -> Sequence[Delivery]:
        """See ``Backend.claim``."""
        at = self.clock()
        opened = [
            (name, found) for name in queues if (found := self._queues.get((organization, name))) is not None
        ]
        for _, queue in opened:
            queue.release(at)
        claimed: list[Delivery] = []
        while len(claimed) < limit and (found := _next_of(opened)):
            claimed.append(self._lease(organization, *found, at))
        return claimed

    def _lease(self, organization: OrganizationId, name: str, queue: _Queue, at: float) -> Delivery:
        entry = queue.entries[heapq.heappop(queue.ready)[1]]
        entry.deliveries += 1
        entry.attempts += 1
        lease = next(self._numbers)
        queue.hold(entry, lease, at + self.limits.lease_seconds)
        return Delivery(
            entry.message,
            organization,
            name,
            str(entry.number),
            str(lease),
            entry.deliveries,
            entry.attempts,
        )

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See ``Backend.ack``."""
        for delivery in deliveries:
            self._queue(delivery.organization, delivery.queue).remove(int(delivery.handle))

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        """See ``Backend.extend``."""
        until = self.clock() + self.limits.lease_seconds
        for delivery in deliveries:
            if entry := self._leased(delivery):
                self._queue(delivery.organization, delivery.queue).hold(entry, entry.lease, until)

    async def retry(self, delivery: Delivery, seconds: float) -> None:
        """See ``Backend.retry``."""
        if entry := self._leased(delivery):
            queue = self._queue(delivery.organization, delivery.queue)
            queue.hold(entry, next(self._numbers), self.clock() + min(seconds, LONGEST_PAUSE))
            self._wakes.ring(delivery.organization, delivery.queue)

    def _leased(self, delivery: Delivery) -> _Entry | None:
        """The entry, if this delivery still has its lease."""
        queue = self._queue(delivery.organization, delivery.queue)
        queue.release(self.clock())
        entry = queue.entries.get(int(delivery.handle))
        return entry if entry is not None and str(entry.lease) == delivery.token else None

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """See ``Backend.bury``."""
        entry = self._leased(delivery)
        if entry is not None:
            queue = self._queue(delivery.organization, delivery.queue)
            queue.remove(entry.number)
            name = entry.message.id
            queue.dead[name] = DeadLetter(name, entry.message, reason, entry.deliveries, now())

    async def depth(self, organization: OrganizationId, queue: str) -> Depth:
        """See ``Backend.depth``."""
        found = self._queue(organization, queue)
        found.release(self.clock())
        held = sum(1 for entry in found.entries.values() if entry.lease)
        return Depth(len(found.entries) - held, held, len(found.dead))

    async def dead_letters(
        self, organization: OrganizationId, queue: str, limit: int = 100
    ) -> Sequence[DeadLetter]:
        """See ``Backend.dead_letters``."""
        return list(self._queue(organization, queue).dead.values())[:limit]

    async def dead_queues(self, organization: OrganizationId) -> Sequence[str]:
        """See ``Backend.dead_queues``."""
        return sorted(
            name for (whose, name), queue in self._queues.items() if whose == organization and queue.dead
        )

    async def requeue(
        self, organization: OrganizationId, queue: str, ids: Sequence[str] | None = None
    ) -> int:
        """See ``Backend.requeue``; all of them or none."""
        found = self._queue(organization, queue)
        letters = _chosen(found, ids)
        fresh = [letter for letter in letters if letter.message.id not in found.numbers]
        if len(found.entries) + len(fresh) > self.limits.bound:
            raise full(queue, self.limits.bound)
        for letter in letters:
            del found.dead[letter.id]
        for letter in fresh:
            found.put(_Entry(letter.message, next(self._numbers), letter.deliveries))
        self._wakes.ring(organization, queue)
        return len(letters)

    async def purge(self, organization: OrganizationId, queue: str, ids: Sequence[str] | None = None) -> int:
        """See ``Backend.purge``."""
        found = self._queue(organization, queue)
        letters = _chosen(found, ids)
        for letter in letters:
            del found.dead[letter.id]
        return len(letters)

    async def drop(self, organization: OrganizationId, queue: str) -> None:
        """See ``Backend.drop``."""
        self._queues.pop((organization, queue), None)

    @asynccontextmanager
    async def listening(
        self, organization: OrganizationId, queues: Sequence[str], wake: Callable[[], None]
    ) -> AsyncGenerator[None]:
        """See ``Backend.listening``."""
        with self._wakes.adding(organization, queues, wake):
            yield

    async def close(self) -> None:
        """See ``Backend.close``."""
        self._queues.clear()

    def _queue(self, organization: str, queue: str) -> _Queue:
        found = self._queues.get((organization, queue))
        if found is None:
            found = self._queues[organization, queue] = _Queue()
        return found


def _next_of(opened: Sequence[tuple[str, _Queue]]) -> tuple[str, _Queue] | None:
    """The queue that has the most urgent and oldest message."""
    if len(opened) == 1:
        return opened[0] if opened[0][1].first() else None
    firsts = [(first, place) for place in opened if (first := place[1].first()) is not None]
    return min(firsts, key=itemgetter(0))[1] if firsts else None


def _chosen(queue: _Queue, ids: Sequence[str] | None) -> list[DeadLetter]:
    if ids is None:
        return list(queue.dead.values())
    return [queue.dead[name] for name in dict.fromkeys(ids) if name in queue.dead]


async def open_backend(setup: Setup) -> MemoryBackend:
    """An empty one."""
    return MemoryBackend(setup.limits)
