"""Addresses, pauses, refusals of brokers, and being cancelled."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.machine.brokers import start_broker

from bullpen.domain.errors import InvalidInput, NotFound, Unavailable
from bullpen.kernel.bus.addresses import Address, To, parse_address
from bullpen.kernel.bus.backends.base import Setup
from bullpen.kernel.bus.bus import Policy, inbox_of, open_bus_backend
from bullpen.kernel.bus.ending import end_task
from bullpen.kernel.bus.messages import unseal


@pytest.mark.req("BUS-02")
@pytest.mark.parametrize(
    "text", ["agent:qa-1", "role:reviewer", "capability:c++", "topic:a/b", "reply:msg-1"]
)
def test_an_address_comes_back_as_it_was_written(text: str) -> None:
    assert str(parse_address(text)) == text


@given(st.from_regex(r".*[^A-Za-z0-9._@/+#-].*", fullmatch=True))
def test_no_other_character_is_part_of_a_name(name: str) -> None:
    with pytest.raises(InvalidInput, match="is no address"):
        parse_address(f"agent:{name}")


@pytest.mark.parametrize(
    "text", ["", "agent", "agent:", "boss:ann", "agent:a b", "agent:-x", "agent:a:b", "agent:a\n"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no address") as refused:
        parse_address(text)
    assert "FORM:NAME" in refused.value.remedy


def test_an_inbox_is_all_addresses_of_an_agent() -> None:
    assert inbox_of("ann", ["qa"], ["python"]) == ("agent:ann", "role:qa", "capability:python")
    assert parse_address("role:qa") == Address(To.ROLE, "qa")


@pytest.mark.req("BUS-03")
@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_pauses_double_up_to_a_bound_and_vary(attempt: int, chance: float) -> None:
    policy = Policy(first_pause=1, longest_pause=300)
    whole = min(300, 2 ** min(attempt - 1, 20))
    assert whole / 2 <= policy.pause(attempt, chance) <= whole  # the lower bound by rounding only


@given(st.binary())
def test_any_bytes_are_an_envelope_or_a_fault(raw: bytes) -> None:
    message, fault = unseal(raw, "agent:ann")
    assert fault.startswith("the envelope cannot be read")
    assert message.to == "agent:ann"


async def test_a_backend_is_chosen_by_the_scheme() -> None:
    with pytest.raises(NotFound, match="database, memory, nats, redis"):
        await open_bus_backend(Setup(url="kafka://127.0.0.1"))


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "nats://127.0.0.1:1"])
async def test_a_broker_that_is_not_there(url: str) -> None:
    with pytest.raises(Unavailable, match="does not answer") as refused:
        await open_bus_backend(Setup(url=url))
    assert refused.value.remedy


@pytest.mark.needs("redis")
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("--appendonly", "no"), "keeps no append-only file"),
        (("--maxmemory-policy", "allkeys-lru"), "throws keys away"),
    ],
)
async def test_a_redis_that_forgets_is_refused(settings: tuple[str, ...], reason: str) -> None:
    with start_broker("redis") as broker:
        broker.kill()
        broker.argv += settings
        broker.start()
        with pytest.raises(InvalidInput, match=reason):
            await open_bus_backend(Setup(url=broker.url))


async def test_a_task_that_swallows_being_cancelled_once_is_ended() -> None:
    swallowed: list[bool] = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if swallowed:
                    raise
                swallowed.append(True)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end_task(task)
    assert task.cancelled()
    assert swallowed
