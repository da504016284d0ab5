"""On NATS JetStream (server 2.9 or newer), for more than one machine.

A queue is a stream with a subject for each message, so that a message sent twice is one, and a consumer for each
priority. Dead letters are a stream of their own. A server that was killed may have forgotten what it handed out; so
what it had before it was started is marked as a redelivery.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from operator import itemgetter

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError
from pydantic import TypeAdapter

from bullpen.domain.errors import InvalidInput, Unavailable
from bullpen.domain.ids import OrganizationId
from bullpen.kernel.bus.addresses import To
from bullpen.kernel.bus.backends.base import (
    LONGEST_PAUSE,
    DeadLetter,
    Delivery,
    Depth,
    Limits,
    Setup,
    full,
    not_answering,
)
from bullpen.kernel.bus.messages import Message, Priority, seal, unseal
from bullpen.kernel.clock import now
from bullpen.kernel.json_text import dump, load

DEAD, STARTS = "bullpen-dead", "bullpen-starts"
REPLY_SECONDS = 24 * 3600.0  # an answer that nobody fetched is forgotten
IDLE_SECONDS = 3600.0  # a consumer of answers that nobody uses is forgotten
STARTS_KEPT_SECONDS = 30 * 24 * 3600.0
ANSWER_SECONDS = 5.0
CONNECT_SECONDS = 3
TOGETHER = 200  # messages that are on their way at the same time
RECONNECT_SECONDS = 1
LEASES_KEPT = 10_000
_PLAIN = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
OTHER_SETTINGS = 10058  # the stream is there already
REFUSED = 10077  # the stream, or the subject, is full


@dataclass(slots=True)
class _Place:
    """A queue on the server. ``seen`` is the last message it had when this run of the server was first met."""

    stream: str
    subject: str
    pulls: tuple["_Pull", ...]
    server: str = ""
    seen: int = 0


@dataclass(slots=True)
class _Pull:
    """A consumer, the inbox it sends to, and what has arrived there."""

    consumer: str
    subject: str
    inbox: Subscription
    arrived: asyncio.Queue[Msg]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))


@dataclass(slots=True)
class NatsBackend:
    """See ``Backend``. Leases and pauses are the server's."""

    client: Client
    limits: Limits = field(default_factory=Limits)
    _places: dict[tuple[str, str], _Place] = field(default_factory=dict[tuple[str, str], _Place])
    _leases: dict[str, float] = field(default_factory=dict[str, float])
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _sending: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TOGETHER))

    @property
    def _js(self) -> JetStreamContext:
        return self.client.jetstream(timeout=ANSWER_SECONDS)  # pyright: ignore[reportUnknownMemberType]

    # --- sending ------------------------------------------------------------------------------------------------------

    async def publish(self, organization: OrganizationId, messages: Sequence[Message]) -> None:
        """See ``Backend.publish``; one after the other where a queue is full, so some may be taken."""
        with _nats_errors():
            places = {queue: await self._place(organization, queue) for queue in {one.to for one in messages}}
            js = self._js
            results = await asyncio.gather(
                *(self._put(js, places[one.to], one, seal(one), 0) for one in messages),
                return_exceptions=True,
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    async def _put(
        self, js: JetStreamContext, place: _Place, message: Message, body: str, deliveries: int
    ) -> None:
        subject = f"{place.subject}.{int(message.priority)}.{_token(message.id)}"
        headers = {"Bullpen-Deliveries": str(deliveries)} if deliveries else None
        async with self._sending:
            try:
                await js.publish(subject, body.encode(), stream=place.stream, headers=headers)
            except APIError as error:
                if error.err_code != REFUSED:
                    raise
                if "per subject" not in (error.description or ""):  # else it is there already
                    raise full(message.to, self.limits.bound) from error

    # --- receiving ----------------------------------------------------------------------------------------------------

    async def claim(
        self, organization: OrganizationId, queues: Sequence[str], limit: int
    ) -> Sequence[Delivery]:
        """See ``Backend.claim``."""
        claimed: list[Delivery] = []
        started = time.monotonic()
        with _nats_errors():
            places = [(queue, await self._place(organization, queue)) for queue in queues]
            for level in range(len(Priority)):
                for queue, place in places:
                    if len(claimed) < limit and level < len(place.pulls):
                        messages = await self._pull(place, place.pulls[level], limit - len(claimed))
                        claimed += [self._delivery(organization, queue, place, one) for one in messages]
        self._lease(claimed, started)
        return claimed

    async def _pull(self, place: _Place, pull: _Pull, limit: int) -> list[Msg]:
        """What the consumer has now. What an earlier, interrupted pull left is taken with it."""
        found: list[Msg] = []
        async with pull.turn:
            reply = f"{pull.inbox.subject.removesuffix('*')}{next(pull.numbers)}"
            request = json.dumps({"batch": limit, "no_wait": True}).encode()
            await self.client.publish(_next_subject(place.stream, pull.consumer), request, reply=reply)
            async with asyncio.timeout(ANSWER_SECONDS):
                while len(found) < limit:
                    message = await pull.arrived.get()
                    if not _is_status(message):
                        found.append(message)
                    elif message.subject == reply:
                        break
        return found

    def _delivery(self, organization: OrganizationId, queue: str, place: _Place, message: Msg) -> Delivery:
        told = message.metadata
        attempt = told.num_delivered or 1
        before = int((message.headers or {}).get("Bullpen-Deliveries", 0))
        sequence = told.sequence.stream
        if sequence <= place.seen or self._server() != place.server:
            before += 1  # this server may have forgotten that it handed it out
        envelope, fault = unseal(message.data, queue)
        return Delivery(
            envelope, organization, queue, str(sequence), message.reply, before + attempt, attempt, fault
        )

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See ``Backend.ack``. One that is lost on its way means a redelivery, which is marked."""
        await self._tell([delivery.token for delivery in deliveries], b"+ACK")
        for delivery in deliveries:
            self._leases.pop(delivery.token, None)

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        """See ``Backend.extend``."""
        held = [delivery.token for delivery in deliveries if self._leased(delivery)]
        end = time.monotonic() + self.limits.lease_seconds
        await self._tell(held, b"+WPI")
        self._leases.update((token, end) for token in held)

    async def retry(self, delivery: Delivery, seconds: float) -> None:
        """See ``Backend.retry``."""
        if self._leased(delivery):
            pause = json.dumps({"delay": int(min(seconds, LONGEST_PAUSE) * 1e9)})
            del self._leases[delivery.token]
            await self._tell([delivery.token], f"-NAK {pause}".encode())

    async def _tell(self, tokens: Sequence[str], word: bytes) -> None:
        """Say it of each; a consumer hears in order, so it is enough that it confirms the last."""
        lasts = {token.rsplit(".", 5)[0]: token for token in tokens}
        with _nats_errors():
            for token in tokens:
                if token not in lasts.values():
                    await self.client.publish(token, word)
            for token in lasts.values():
                with suppress(NoRespondersError):  # its queue was dropped
                    await self.client.request(token, word, timeout=ANSWER_SECONDS)

    def _leased(self, delivery: Delivery) -> bool:
        """Whether its lease still holds, by our reckoning, which began before the server's."""
        return self._leases.get(delivery.token, 0) > time.monotonic()

    def _lease(self, claimed: Sequence[Delivery], started: float) -> None:
        if len(self._leases) > LEASES_KEPT:
            self._leases = {token: end for token, end in self._leases.items() if end > started}
        end = started + self.limits.lease_seconds
        self._leases.update((delivery.token, end) for delivery in claimed)

    # --- dead letters -------------------------------------------------------------------------------------------------

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """See ``Backend.bury``: first the dead letter, then the message goes; killed between, it is done again."""
        if not self._leased(delivery):
            return
        name = delivery.message.id or f"entry-{delivery.handle}"
        body = delivery.message.payload if delivery.fault else seal(delivery.message)
        letter = _Letter(name, body, reason, delivery.deliveries, now())
        subject = f"{_dead_root(delivery.organization, delivery.queue)}.{_token(name)}"
        with _nats_errors():
            await self._js.publish(subject, dump(_letters(), letter).encode(), stream=DEAD)
        await self.ack([delivery])

    async def dead_letters(
        self, organization: OrganizationId, queue: str, limit: int = 100
    ) -> Sequence[DeadLetter]:
        """See ``Backend.dead_letters``."""
        found = await self._dead(organization, queue, None)
        return [
            DeadLetter(one.id, unseal(one.body, queue)[0], one.reason, one.deliveries, one.at)
            for one in found[:limit]
        ]

    async def dead_queues(self, organization: OrganizationId) -> Sequence[str]:
        """See ``Backend.dead_queues``."""
        with _nats_errors():
            info = await self._js.stream_info(DEAD, subjects_filter=f"bullpen.dead.{_token(organization)}.>")
        return sorted({_text(subject.split(".")[3]) for subject in info.state.subjects or ()})

    async def requeue(
        self, organization: OrganizationId, queue: str, ids: Sequence[str] | None = None
    ) -> int:
        """See ``Backend.requeue``; where the queue gets full, the rest stay."""
        letters = await self._dead(organization, queue, ids)
        with _nats_errors():
            place = await self._place(organization, queue)
            for letter in letters:
                message, _ = unseal(letter.body, queue)
                named = replace(message, id=letter.id, to=queue)
                await self._put(self._js, place, named, letter.body, letter.deliveries)
                await self._forget(organization, queue, letter)
        return len(letters)

    async def purge(self, organization: OrganizationId, queue: str, ids: Sequence[str] | None = None) -> int:
        """See ``Backend.purge``."""
        letters = await self._dead(organization, queue, ids)
        with _nats_errors():
            for letter in letters:
                await self._forget(organization, queue, letter)
        return len(letters)

    async def _forget(self, organization: str, queue: str, letter: "_Letter") -> None:
        subject = f"{_dead_root(organization, queue)}.{_token(letter.id)}"
        await self._js.purge_stream(DEAD, subject=subject)

    async def _dead(self, organization: str, queue: str, ids: Sequence[str] | None) -> list["_Letter"]:
        """All, or these, oldest first."""
        root = _dead_root(organization, queue)
        with _nats_errors():
            if ids is None:
                subjects = await self._dead_subjects(organization, queue)
            else:
                subjects = [f"{root}.{_token(name)}" for name in dict.fromkeys(ids)]
            found: list[tuple[int, _Letter]] = []
            for subject in subjects:
                with suppress(NotFoundError):  # not there, or gone in the meantime
                    raw = await self._js.get_last_msg(DEAD, subject)
                    found.append((raw.seq or 0, load(_letters(), raw.data or b"")))
        return [letter for _, letter in sorted(found, key=itemgetter(0))]

    async def _dead_subjects(self, organization: str, queue: str) -> list[str]:
        info = await self._js.stream_info(DEAD, subjects_filter=f"{_dead_root(organization, queue)}.*")
        return list(info.state.subjects or ())

    # --- the rest -----------------------------------------------------------------------------------------------------

    async def depth(self, organization: OrganizationId, queue: str) -> Depth:
        """See ``Backend.depth``."""
        with _nats_errors():
            place = await self._place(organization, queue)
            infos = [await self._js.consumer_info(place.stream, pull.consumer) for pull in place.pulls]
            ready = sum(info.num_pending or 0 for info in infos)
            kept = (await self._js.stream_info(place.stream, f"{place.subject}.>")).state.subjects or {}
            dead = len(await self._dead_subjects(organization, queue))
        return Depth(ready, max(0, len(kept) - ready), dead)

    async def drop(self, organization: OrganizationId, queue: str) -> None:
        """See ``Backend.drop``."""
        place = self._places.pop((organization, queue), None)
        with _nats_errors():
            for pull in place.pulls if place else ():
                await pull.inbox.unsubscribe()
            with suppress(NotFoundError):
                if queue.startswith(f"{To.REPLY}:"):
                    stream = _stream(organization, queue)
                    await self._js.purge_stream(stream, subject=f"{_root(organization, queue)}.*.*")
                    await self._js.delete_consumer(stream, _token(queue))
                else:
                    await self._js.delete_stream(_stream(organization, queue))
            await self._js.purge_stream(DEAD, subject=f"{_dead_root(organization, queue)}.*")

    @asynccontextmanager
    async def listening(
        self, organization: OrganizationId, queues: Sequence[str], wake: Callable[[], None]
    ) -> AsyncGenerator[None]:
        """See ``Backend.listening``: what goes into a stream is heard by plain subscribers, too."""

        async def heard(_message: Msg) -> None:
            wake()

        with _nats_errors():
            subjects = [f"{_root(organization, queue)}.>" for queue in queues]
            subscriptions = [await self.client.subscribe(subject, cb=heard) for subject in subjects]  # pyright: ignore[reportUnknownMemberType]
            await self.client.flush()
        try:
            yield
        finally:
            with suppress(NatsError):  # the connection may be gone
                for subscription in subscriptions:
                    await subscription.unsubscribe()

    async def close(self) -> None:
        """See ``Backend.close``."""
        await self.client.close()

    # --- streams ------------------------------------------------------------------------------------------------------

    async def _place(self, organization: str, queue: str) -> _Place:
        """The queue's stream and consumers, made where they are not there yet."""
        key = (organization, queue)
        place = self._places.get(key)
        if place is None or place.server != self._server():
            async with self._opening:
                place = self._places.get(key) or await self._open(organization, queue)
                if place.server != self._server():
                    await self._meet(place)
                self._places[key] = place
        return place

    async def _open(self, organization: str, queue: str) -> _Place:
        stream, root = _stream(organization, queue), _root(organization, queue)
        answers = queue.startswith(f"{To.REPLY}:")
        await _keep_stream(self._js, _queue_stream(stream, root, self.limits, answers=answers))
        if answers:
            pulls = [await self._consumer(stream, _token(queue), f"{root}.*.*", IDLE_SECONDS)]
        else:
            levels = [int(level) for level in Priority]
            pulls = [await self._consumer(stream, f"p{level}", f"{root}.{level}.*", None) for level in levels]
        return _Place(stream, root, tuple(pulls))

    async def _consumer(self, stream: str, name: str, subject: str, idle: float | None) -> _Pull:
        config = ConsumerConfig(
            durable_name=name,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self.limits.lease_seconds,
            filter_subject=subject,
            max_ack_pending=-1,
            inactive_threshold=idle,
        )
        await self._js.add_consumer(stream, config)  # pyright: ignore[reportUnknownMemberType]
        arrived: asyncio.Queue[Msg] = asyncio.Queue()
        inbox = await self.client.subscribe(f"{self.client.new_inbox()}.*", cb=arrived.put)  # pyright: ignore[reportUnknownMemberType]
        return _Pull(name, subject, inbox, arrived)

    async def _meet(self, place: _Place) -> None:
        """Find out what the stream had when this run of the server was first met, by whichever client."""
        server = self._server()
        info = await self._js.stream_info(place.stream)
        subject = f"bullpen.starts.{server}.{place.stream}"
        try:
            await self._js.publish(subject, str(info.state.last_seq).encode(), stream=STARTS)
            place.seen = info.state.last_seq
        except APIError as error:
            if error.err_code != REFUSED:
                raise
            place.seen = int((await self._js.get_last_msg(STARTS, subject)).data or b"0")
        place.server = server

    def _server(self) -> str:
        """Which run of the server we talk to; every start has a name of its own."""
        return str(self.client._server_info.get("server_id", ""))  # pyright: ignore[reportPrivateUsage] # noqa: SLF001


@dataclass(frozen=True, slots=True)
class _Letter:
    """A dead letter as it is stored."""

    id: str
    body: str
    reason: str
    deliveries: int
    at: float


@cache
def _letters() -> TypeAdapter[_Letter]:
    return TypeAdapter(_Letter)


def _token(text: str) -> str:
    """Any text as a part of a subject or the name of a stream."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(
        part if part.isascii() and (part.isalnum() or part in "-_") else f"={ord(part):x}=" for part in text
    )


def _text(token: str) -> str:
    """What ``_token`` made a part of a subject of."""
    return re.sub(r"=([0-9a-f]+)=", lambda found: chr(int(found[1], 16)), token)


def _stream(organization: str, queue: str) -> str:
    """A stream for each queue, and one for all answers."""
    shared = queue.startswith(f"{To.REPLY}:")
    return f"bullpen-{_token(organization)}-{'answers' if shared else 'q-' + _token(queue)}"


def _root(organization: str, queue: str) -> str:
    area = "answer" if queue.startswith(f"{To.REPLY}:") else "queue"
    return f"bullpen.{area}.{_token(organization)}.{_token(queue)}"


def _dead_root(organization: str, queue: str) -> str:
    return f"bullpen.dead.{_token(organization)}.{_token(queue)}"


def _next_subject(stream: str, consumer: str) -> str:
    return f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"


def _is_status(message: Msg) -> bool:
    return not message.data and "Status" in (message.headers or {})


def _queue_stream(stream: str, root: str, limits: Limits, *, answers: bool) -> StreamConfig:
    return StreamConfig(
        name=stream,
        subjects=[f"{root.rpartition('.')[0]}.*.*.*" if answers else f"{root}.*.*"],
        retention=RetentionPolicy.WORK_QUEUE,
        discard=DiscardPolicy.NEW,
        max_msgs=limits.bound,
        max_msgs_per_subject=1,
        discard_new_per_subject=True,
        max_age=REPLY_SECONDS if answers else 0,
    )


async def _keep_stream(js: JetStreamContext, config: StreamConfig) -> None:
    """Make it, or change it to what is wanted now."""
    try:
        await js.add_stream(config)  # pyright: ignore[reportUnknownMemberType]
    except APIError as error:
        if error.err_code != OTHER_SETTINGS:
            raise
        await js.update_stream(config)  # pyright: ignore[reportUnknownMemberType]


@contextmanager
def _nats_errors() -> Generator[None]:
    """Turns an answer that does not come, or a refusal, into a sentence."""
    try:
        yield
    except (NatsError, OSError) as error:
        raise not_answering("NATS", error) from error


async def _quiet(_error: Exception) -> None:
    """The client tells of every lost connection; whoever calls hears of it by an error."""


async def _connect(client: Client, url: str) -> None:
    """Within a while; once connected, it connects again for ever."""
    try:
        with _nats_errors():
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.connect(
                    url, error_cb=_quiet, max_reconnect_attempts=-1, reconnect_time_wait=RECONNECT_SECONDS
                )
    except Unavailable:
        await client.close()
        raise


async def open_backend(setup: Setup) -> NatsBackend:
    """Connect, and make the streams that all queues share.

    Raises:
        InvalidInput: the URL cannot be understood.
        Unavailable: the server does not answer, or JetStream is not enabled.
    """
    client = Client()
    try:
        await _connect(client, setup.url)
    except ValueError as error:
        raise InvalidInput(
            f"The address of the bus cannot be understood: {error}.", remedy="Use nats://HOST:PORT."
        ) from error
    backend = NatsBackend(client, setup.limits)
    js = client.jetstream(timeout=ANSWER_SECONDS)  # pyright: ignore[reportUnknownMemberType]
    try:
        with _nats_errors():
            await _keep_stream(
                js, StreamConfig(name=DEAD, subjects=["bullpen.dead.>"], max_msgs_per_subject=1)
            )
            await _keep_stream(js, _starts())
    except BaseException:
        await backend.close()
        raise
    return backend


def _starts() -> StreamConfig:
    return StreamConfig(
        name=STARTS,
        subjects=["bullpen.starts.>"],
        discard=DiscardPolicy.NEW,
        max_msgs_per_subject=1,
        discard_new_per_subject=True,
        max_age=STARTS_KEPT_SECONDS,
    )
