"""What every backend of the message bus promises, through the bus that stands on it."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from tests.kernel.bus.desk import ANN, INBOX, STRANGER, WITHIN_SECONDS, Desk, message, opened

from bullpen.domain.errors import Conflict, LimitExceeded, NotFound, Unavailable
from bullpen.domain.ids import LOCAL_ORGANIZATION
from bullpen.kernel.bus.backends.base import Backend, Delivery, Limits, Setup
from bullpen.kernel.bus.bus import BACKENDS, Policy
from bullpen.kernel.bus.ending import end_task
from bullpen.kernel.bus.log import EventLog
from bullpen.kernel.bus.messages import Priority, answer_to, new_message, read_payload
from bullpen.kernel.storage.database import Database, open_store

OpenDesk = Callable[..., Awaitable[Desk]]
EVERY = [
    "memory",
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.needs("postgresql")),
    pytest.param("redis", marks=pytest.mark.needs("redis")),
    pytest.param("nats", marks=pytest.mark.needs("nats")),
]
BETWEEN_PROCESSES = EVERY[1:]


@pytest.fixture(params=EVERY)
def kind(request: pytest.FixtureRequest) -> str:
    """Which backend; of the database, on each kind of server."""
    return request.param


@pytest.fixture
def address(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where its messages are kept."""
    if kind == "postgresql":
        return request.getfixturevalue("postgres_url")
    if kind in ("redis", "nats"):
        return request.getfixturevalue("empty_broker")(kind).url
    return {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path / 'bus.db'}"}[kind]


@pytest.fixture
async def open_desk(address: str) -> AsyncIterator[OpenDesk]:
    """Opens a bus on the same messages, as often as it is called; of memory, an empty one each time."""
    async with AsyncExitStack() as ending:

        async def open_one(policy: Policy | None = None, **limits: float) -> Desk:
            backend = await ending.enter_async_context(opening(address, Limits(**limits)))  # type: ignore[arg-type]
            return Desk(backend, policy=policy or Desk.policy)

        yield open_one


@asynccontextmanager
async def opening(address: str, limits: Limits) -> AsyncIterator[Backend]:
    """A backend on the messages at an address."""
    if address.startswith(("sqlite", "postgresql")):
        store = await open_store(address)
        backend = await opened("database", Setup(limits, database=Database(store, EventLog())))
        yield backend
        await backend.close()
        await store.close()
    else:
        backend = await opened(address.partition(":")[0], Setup(limits, address))
        yield backend
        await backend.close()


@pytest.fixture
async def desk(open_desk: OpenDesk) -> Desk:
    """A bus with ordinary limits."""
    return await open_desk()


def test_every_backend_is_tested() -> None:
    tested = {one if isinstance(one, str) else one.values[0] for one in EVERY}
    assert set(BACKENDS.names()) == tested - {"sqlite", "postgresql"} | {"database"}


# --- what comes, and in which order -----------------------------------------------------------------------------------


@pytest.mark.req("BUS-02")
async def test_an_envelope_arrives_as_it_was_sent(desk: Desk) -> None:
    sent = new_message(
        ANN,
        "agent:ann",
        "note",
        '"naïve ✓ \\u0000 \\udcff"',
        priority=Priority.HIGH,
        deadline=time.time() + 1000,
        correlation_id="talk-1",
    )
    await desk.bus.send(ANN, sent)
    (delivery,) = await desk.take()
    assert delivery.message == sent
    assert (delivery.deliveries, delivery.attempt, delivery.redelivered) == (1, 1, False)


@pytest.mark.req("BUS-03")
async def test_the_urgent_come_first_and_of_one_priority_the_older(desk: Desk) -> None:
    for number in range(3):
        for priority in (Priority.LOW, Priority.NORMAL, Priority.URGENT, Priority.HIGH):
            await desk.send(f"{priority.name} {number}", priority=priority)
    assert await desk.take_all() == [f"{one.name} {number}" for one in Priority for number in range(3)]


async def test_one_inbox_of_several_addresses_is_in_one_order(desk: Desk) -> None:
    desk.holders = {"role:qa": ["ann"]}
    await desk.send("low", to="role:qa", priority=Priority.LOW)
    await desk.send("normal")
    await desk.send("urgent", to="role:qa", priority=Priority.URGENT)
    assert await desk.take_all("agent:ann", "role:qa") == ["urgent", "normal", "low"]


async def test_nothing_is_taken_where_nothing_is(desk: Desk) -> None:
    assert await desk.take("agent:ann", "role:nobody") == []
    assert await desk.depth() == (0, 0, 0)


@pytest.mark.req("BUS-03")
async def test_what_is_leased_is_given_to_nobody_else(desk: Desk) -> None:
    await desk.send("a", "b")
    (first,) = await desk.take()
    (second,) = await desk.take()
    assert [first.message.payload, second.message.payload] == ["a", "b"]
    assert await desk.take() == []
    assert await desk.depth() == (0, 2, 0)
    await desk.backend.ack([first, second])
    assert await desk.depth() == (0, 0, 0)


@pytest.mark.req("BUS-05")
async def test_the_same_message_sent_twice_is_one(desk: Desk) -> None:
    one = message("a")
    for _ in range(2):
        await desk.bus.send(ANN, one)
    (delivery,) = await desk.take(limit=5)
    await desk.bus.send(ANN, one)  # also while it is being handled
    await desk.backend.ack([delivery])
    assert await desk.take(limit=5) == []


# --- settling ---------------------------------------------------------------------------------------------------------


@pytest.mark.req("BUS-03", "BUS-05")
async def test_what_is_given_back_comes_again_and_says_so(desk: Desk) -> None:
    await desk.send("a")
    (first,) = await desk.take()
    await desk.bus.fail(ANN, first, "not now")
    second = await desk.take_soon()
    assert (second.message, second.deliveries, second.redelivered) == (first.message, 2, True)
    await desk.backend.ack([second])
    assert await desk.depth() == (0, 0, 0)


@pytest.mark.req("BUS-03")
async def test_it_pauses_before_it_comes_again(desk: Desk) -> None:
    desk.policy = Policy(attempts=3, first_pause=1000)
    await desk.send("a", "b")
    (first,) = await desk.take()
    await desk.bus.fail(ANN, first, "not now")
    assert await desk.take_all() == ["b"]
    assert await desk.depth() == (0, 1, 0)


@pytest.mark.req("BUS-03")
async def test_what_fails_too_often_becomes_a_dead_letter(desk: Desk) -> None:
    await desk.send("a")
    for _ in range(desk.policy.attempts):
        await desk.bus.fail(ANN, await desk.take_soon(), "the disk is full")
    assert await desk.take() == []
    assert await desk.reasons() == ["it failed 3 times, at last: the disk is full"]
    assert await desk.depth() == (0, 0, 1)


@pytest.mark.req("BUS-03", "BUS-05")
async def test_a_lease_that_ends_gives_the_message_to_another_marked(open_desk: OpenDesk) -> None:
    desk = await open_desk(lease_seconds=0.2)
    await desk.send("a")
    (first,) = await desk.take()
    second = await desk.take_soon()
    assert second.deliveries == 2
    assert second.message == first.message


@pytest.mark.req("BUS-05")
async def test_who_has_lost_the_lease_cannot_take_the_message_from_the_other(open_desk: OpenDesk) -> None:
    desk = await open_desk(lease_seconds=1)
    await desk.send("a")
    (first,) = await desk.take()
    second = await desk.take_soon()
    await desk.backend.bury(first, "too late")
    assert await desk.reasons() == []
    await desk.backend.ack([second])
    assert await desk.depth() == (0, 0, 0)
    await desk.backend.ack([second])  # again: no error


async def test_a_late_acknowledgement_is_one(open_desk: OpenDesk) -> None:
    """The work was done: nobody needs to do it again."""
    desk = await open_desk(lease_seconds=1)
    await desk.send("a")
    (first,) = await desk.take()
    await desk.take_soon()
    await desk.backend.ack([first])
    assert sum(await desk.depth()) == 0


async def test_a_lease_that_is_extended_does_not_end(open_desk: OpenDesk) -> None:
    desk = await open_desk(lease_seconds=1)
    await desk.send("kept", "lost")
    kept, lost = await desk.take(limit=2)
    seen: list[str] = []
    while "lost" not in seen:  # the one that nobody keeps comes again; the other does not
        await desk.backend.extend([kept])
        seen += [one.message.payload for one in await desk.take(limit=2)]
        await asyncio.sleep(0.01)
    await desk.backend.extend([kept])
    assert seen == ["lost"]
    assert lost.message.payload == "lost"


# --- dead letters -----------------------------------------------------------------------------------------------------


@pytest.mark.req("BUS-03")
async def test_what_came_too_late_becomes_a_dead_letter(desk: Desk) -> None:
    await desk.send("late", deadline=time.time() - 1)
    await desk.send("in time", deadline=time.time() + 1000)
    assert await desk.take_all() == ["in time"]
    assert await desk.reasons() == ["its deadline has passed"]


@pytest.mark.req("BUS-03")
async def test_dead_letters_are_inspected_requeued_and_purged(desk: Desk) -> None:
    sent = await desk.send("a", "b", "c")
    for delivery in await desk.take(limit=3):
        await desk.bus.bury(ANN, delivery, f"no {delivery.message.payload}")
    letters = await desk.backend.dead_letters(LOCAL_ORGANIZATION, "agent:ann")
    assert [letter.message for letter in letters] == sent
    assert [letter.reason for letter in letters] == ["no a", "no b", "no c"]
    assert {letter.deliveries for letter in letters} == {1}
    assert await desk.backend.purge(LOCAL_ORGANIZATION, "agent:ann", [sent[1].id, "unknown"]) == 1
    assert await desk.backend.requeue(LOCAL_ORGANIZATION, "agent:ann", [sent[2].id]) == 1
    (again,) = await desk.take(limit=5)
    assert (again.message, again.deliveries, again.attempt) == (sent[2], 2, 1)
    assert await desk.backend.requeue(LOCAL_ORGANIZATION, "agent:ann") == 1
    assert await desk.take_all() == ["a"]
    assert await desk.backend.purge(LOCAL_ORGANIZATION, "agent:ann") == 0
    assert await desk.depth() == (0, 1, 0)


async def test_dead_letters_are_purged_all_at_once(desk: Desk) -> None:
    await desk.send("a", "b")
    for delivery in await desk.take(limit=3):
        await desk.bus.bury(ANN, delivery, "no")
    assert await desk.backend.purge(LOCAL_ORGANIZATION, "agent:ann") == 2
    assert await desk.depth() == (0, 0, 0)


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("BUS-03")
async def test_a_full_queue_refuses_until_there_is_room(open_desk: OpenDesk) -> None:
    desk = await open_desk(bound=2)
    first, second = await desk.send("a", "b")
    with pytest.raises(LimitExceeded, match="agent:ann is full: it holds 2 messages") as refused:
        await desk.send("c")
    assert refused.value.code == "queue-full"
    assert refused.value.remedy
    await desk.bus.send(ANN, second)  # it is there already
    await desk.send("elsewhere", to="agent:bob")
    (delivery,) = await desk.take()
    with pytest.raises(LimitExceeded):
        await desk.send("c")  # what is being handled counts
    await desk.backend.ack([delivery])
    await desk.send("c")
    assert await desk.take_all() == ["b", "c"]
    assert delivery.message == first


async def test_a_dead_letter_stays_where_its_queue_is_full(open_desk: OpenDesk) -> None:
    desk = await open_desk(bound=1)
    await desk.send("a")
    (delivery,) = await desk.take()
    await desk.bus.bury(ANN, delivery, "no")
    await desk.send("b")
    with pytest.raises(LimitExceeded):
        await desk.backend.requeue(LOCAL_ORGANIZATION, "agent:ann")
    assert await desk.depth() == (1, 0, 1)


@pytest.mark.req("BUS-03")
async def test_a_flood_is_bounded_and_what_was_taken_is_all_there(open_desk: OpenDesk) -> None:
    desk = await open_desk(bound=100)
    refused: list[str] = []

    async def send(number: int) -> None:
        try:
            await desk.send(str(number))
        except LimitExceeded:
            refused.append(str(number))

    await asyncio.gather(*(send(number) for number in range(300)))
    found = await desk.take_all()
    assert len(found) == 100
    assert sorted(found + refused, key=int) == [str(number) for number in range(300)]


# --- many at once -----------------------------------------------------------------------------------------------------


@pytest.mark.req("BUS-05")
async def test_consumers_at_the_same_time_share_the_messages(open_desk: OpenDesk, kind: str) -> None:
    sender = await open_desk()
    desks = [sender] if kind == "memory" else [sender, await open_desk(), await open_desk()]
    await asyncio.gather(*(sender.send(str(number)) for number in range(120)))
    found = await asyncio.gather(*(desk.take_all() for desk in desks for _ in range(3)))
    assert Counter(text for some in found for text in some) == Counter(map(str, range(120)))


# --- who gets it ------------------------------------------------------------------------------------------------------


@pytest.mark.req("BUS-02")
async def test_a_role_is_one_of_those_who_have_it(desk: Desk) -> None:
    desk.holders = {"role:qa": ["ann", "bob"], "capability:python": ["bob"]}
    await desk.send("a", to="role:qa")
    await desk.send("b", to="capability:python")
    assert await desk.take_all("agent:ann", "role:qa") == ["a"]
    assert await desk.take_all("agent:bob", "role:qa", "capability:python") == ["b"]


@pytest.mark.req("BUS-02")
@pytest.mark.parametrize("to", ["role:qa", "topic:builds"])
async def test_a_broadcast_reaches_each_of_them_once(desk: Desk, to: str) -> None:
    desk.holders = {to: ["ann", "bob", "ann"]}
    sent = message("a", to)
    for _ in range(2):  # sent again by a step that ran again
        assert await desk.bus.broadcast(ANN, sent) == 2
    for name in ("ann", "bob"):
        (delivery,) = await desk.take(f"agent:{name}", limit=5)
        assert (delivery.message.payload, delivery.message.via) == ("a", to)
        assert delivery.message.correlation_id == sent.correlation_id


async def test_what_is_sent_to_a_topic_reaches_all_who_follow_it(desk: Desk) -> None:
    desk.holders = {"topic:builds": ["ann", "bob"]}
    assert await desk.bus.send(ANN, message("a", "topic:builds")) == 2
    assert await desk.bus.send(ANN, message("a", "topic:nothing")) == 0
    assert await desk.take_all() == ["a"]


async def test_an_address_that_means_nobody_is_refused(desk: Desk) -> None:
    with pytest.raises(NotFound, match="Nobody is reached by role:astronaut"):
        await desk.send("a", to="role:astronaut")
    with pytest.raises(NotFound):
        await desk.bus.broadcast(ANN, message("a", "capability:flying"))


async def test_queues_belong_to_their_organization(desk: Desk) -> None:
    await desk.send("ours")
    await desk.bus.send(STRANGER, message("theirs"))
    (theirs,) = await desk.bus.take(STRANGER, INBOX, 5)
    assert theirs.message.payload == "theirs"
    await desk.bus.bury(STRANGER, theirs, "no")
    assert await desk.backend.dead_queues(STRANGER.organization_id) == ["agent:ann"]
    assert await desk.backend.dead_queues(LOCAL_ORGANIZATION) == []
    assert await desk.backend.purge(LOCAL_ORGANIZATION, "agent:ann") == 0
    assert await desk.depth() == (1, 0, 0)
    await desk.backend.drop(STRANGER.organization_id, "agent:ann")
    assert await desk.take_all() == ["ours"]


async def test_a_payload_that_is_too_large_is_refused(open_desk: OpenDesk) -> None:
    desk = await open_desk(payload_bytes=100)
    await desk.send("x" * 100)
    with pytest.raises(LimitExceeded, match="larger than 100 bytes"):
        await desk.send("é" * 51)


# --- consuming, requests ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def consuming(desk: Desk, handle: Callable[[Delivery], Awaitable[str | None]]) -> AsyncIterator[None]:
    """Somebody works on the inbox."""
    async with asyncio.timeout(WITHIN_SECONDS):
        task = asyncio.create_task(desk.bus.consume(ANN, INBOX, handle, batch=5))
        yield
        await end_task(task)


@pytest.mark.req("BUS-02")
async def test_a_request_is_answered(desk: Desk) -> None:
    async def handle(delivery: Delivery) -> str:
        return delivery.message.payload.upper()

    async with consuming(desk, handle):
        asked = [message(text) for text in ("a", "b", "c")]
        answers = await asyncio.gather(*(desk.bus.request(ANN, one, 50) for one in asked))
    assert [answer.payload for answer in answers] == ["A", "B", "C"]
    assert [answer.correlation_id for answer in answers] == [one.correlation_id for one in asked]
    assert await desk.depth() == (0, 0, 0)


@pytest.mark.req("BUS-02")
async def test_a_request_that_nobody_answers_ends_at_its_deadline(desk: Desk) -> None:
    with pytest.raises(Unavailable, match=r"agent:ann did not answer 'note' within 0.2 s"):
        await desk.bus.request(ANN, message("a"), 0.2)
    while await desk.depth() != (0, 0, 1):
        await desk.take()
    assert await desk.reasons() == ["its deadline has passed"]


async def test_whoever_asked_is_told_that_it_was_given_up(desk: Desk) -> None:
    async def handle(_delivery: Delivery) -> None:
        raise Conflict("The branch has moved.")

    async with consuming(desk, handle):
        with pytest.raises(Unavailable, match="gave up 'note': it failed 3 times, at last: The branch has"):
            await desk.bus.request(ANN, message("a"), 50)


async def test_an_answer_given_twice_is_one(desk: Desk) -> None:
    request = message("a", reply_to="reply:msg-1", deadline=time.time() + 100)
    for _ in range(2):
        await desk.bus.reply(ANN, request, "yes")
    assert [one.message for one in await desk.take("reply:msg-1", limit=5)] == [
        answer_to(request, ANN, "yes")
    ] or await desk.depth("reply:msg-1") == (0, 1, 0)
    await desk.backend.drop(LOCAL_ORGANIZATION, "reply:msg-1")
    assert await desk.depth("reply:msg-1") == (0, 0, 0)


@pytest.mark.req("BUS-03")
async def test_a_poisoned_message_holds_nobody_up(desk: Desk) -> None:
    handled: list[int] = []
    done = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        handled.append(read_payload(delivery.message, TypeAdapter(int)))
        if len(handled) == 2:
            done.set()

    async with consuming(desk, handle):
        await desk.send("1", '"poison"', "2")
        await done.wait()
        while await desk.depth() != (0, 0, 1):  # noqa: ASYNC110 - another task works
            await asyncio.sleep(0.01)
    assert handled == [1, 2]
    (reason,) = await desk.reasons()
    assert "is no 'note': Input should be a valid integer" in reason


@pytest.mark.req("BUS-05")
async def test_a_fault_of_the_handler_ends_the_loop_and_the_message_comes_again(desk: Desk) -> None:
    async def handle(_delivery: Delivery) -> None:
        raise ZeroDivisionError

    await desk.send("a")
    with pytest.raises(ZeroDivisionError):
        await desk.bus.consume(ANN, INBOX, handle)
    assert (await desk.take_soon()).deliveries == 2


@pytest.mark.req("BUS-05")
async def test_a_message_that_kills_its_consumers_is_given_up(open_desk: OpenDesk) -> None:
    desk = await open_desk(lease_seconds=0.2)
    await desk.send("a")
    async with desk.waker() as waker:
        while await desk.depth() != (0, 0, 1):
            await desk.take()
            waker.clear()
            await asyncio.sleep(0.01)
    assert await desk.reasons() == ["it was handed out 3 times and never settled"]


async def test_a_consumer_keeps_the_leases_of_what_it_works_on(open_desk: OpenDesk) -> None:
    desk = await open_desk(lease_seconds=0.6)
    seen: list[int] = []

    async def handle(delivery: Delivery) -> None:
        seen.append(delivery.deliveries)
        for _ in range(20):  # longer than three leases; nobody else is given it
            assert await desk.take() == []
            await asyncio.sleep(0.1)

    await desk.send("a")
    async with consuming(desk, handle):
        while await desk.depth() != (0, 0, 0):  # noqa: ASYNC110 - another task works
            await asyncio.sleep(0.01)
    assert seen == [1]


async def test_whoever_waits_is_woken(desk: Desk) -> None:
    got = asyncio.create_task(desk.take_soon())
    await asyncio.sleep(0)
    await desk.send("a")
    assert (await got).message.payload == "a"


# --- processes --------------------------------------------------------------------------------------------------------

CONSUMER = """
import asyncio, sys
from tests.contract.test_bus_contract import opening
from tests.kernel.bus.desk import Desk
from bullpen.kernel.bus.backends.base import Limits

async def main(address):
    async with opening(address, Limits(lease_seconds=1)) as backend:
        taken = await Desk(backend).take(limit=5)
        print(*(one.message.payload for one in taken), flush=True)
        await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.req("BUS-03", "BUS-05")
@pytest.mark.parametrize("kind", BETWEEN_PROCESSES, indirect=True)
async def test_what_a_killed_process_had_comes_to_another_marked(address: str, open_desk: OpenDesk) -> None:
    desk = await open_desk(lease_seconds=1)
    await desk.send("a", "b")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CONSUMER, address, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    assert (await process.stdout.readline()).split() == [b"a", b"b"]
    process.kill()
    await process.wait()
    again = [await desk.take_soon() for _ in range(2)]
    assert sorted((one.message.payload, one.deliveries) for one in again) == [("a", 2), ("b", 2)]


@pytest.mark.req("BUS-05")
@pytest.mark.parametrize("kind", BETWEEN_PROCESSES, indirect=True)
async def test_messages_stay_over_a_restart(address: str) -> None:
    async with opening(address, Limits()) as backend:
        await Desk(backend).send("a", "b")
        (delivery,) = await Desk(backend).take()
        await Desk(backend).bus.bury(ANN, delivery, "no")
    async with opening(address, Limits()) as backend:
        assert await Desk(backend).depth() == (1, 0, 1)
        assert await Desk(backend).take_all() == ["b"]
