"""Consumers, and brokers, are killed while messages flow: none is lost, none handled twice without being marked."""

import asyncio
import random
import re
import subprocess
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.contract.test_bus_contract import opening
from tests.kernel.bus.desk import ANN, Desk, message
from tests.machine.brokers import Broker

from bullpen.domain.errors import Unavailable
from bullpen.kernel.bus.backends.base import Limits

ROOT = Path(__file__).parents[3]
MESSAGES, KILLS, CONSUMERS = 300, 9, 3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280), pytest.mark.req("BUS-05")]
BROKERS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("redis", "nats")]


class Crew:
    """Processes that consume, and the file in which they say what they handled."""

    def __init__(self, address: str, file: Path) -> None:
        self.address, self.file = address, file
        self.processes: list[Process] = []
        self.file.touch()

    async def add(self) -> None:
        argv = [sys.executable, "-m", "tests.kernel.bus.consumer", self.address, str(self.file)]
        self.processes.append(await asyncio.create_subprocess_exec(*argv, cwd=ROOT))

    async def kill(self, one: Process) -> None:
        self.processes.remove(one)
        with suppress(ProcessLookupError):
            one.kill()
        await one.wait()

    def handled(self) -> list[tuple[str, int]]:
        """What was handled, in order: the payload, and how often it had been handed out."""
        lines = [line.split() for line in self.file.read_text().splitlines()]
        return [(payload, int(deliveries)) for payload, deliveries in lines]

    async def until(self, count: int) -> None:
        """So many different messages have been handled."""
        while len({payload for payload, _ in self.handled()}) < count:  # noqa: ASYNC110 - processes work
            await asyncio.sleep(0.02)


@asynccontextmanager
async def crew_on(address: str, folder: Path) -> AsyncIterator[Crew]:
    crew = Crew(address, folder / "handled")
    try:
        for _ in range(CONSUMERS):
            await crew.add()
        yield crew
    finally:
        for one in tuple(crew.processes):
            await crew.kill(one)


async def send_all(desk: Desk) -> None:
    """Each until it is taken; a broker that was killed while it answered is asked again."""
    for number in range(MESSAGES):
        one = message(str(number))
        sent = False
        while not sent:
            try:
                sent = bool(await desk.bus.send(ANN, one))
            except Unavailable:
                await asyncio.sleep(0.05)


def show(crew: Crew) -> None:
    """The promise."""
    handled = crew.handled()
    assert {payload for payload, _ in handled} == set(map(str, range(MESSAGES)))
    unmarked = Counter(payload for payload, deliveries in handled if deliveries == 1)
    assert [payload for payload, count in unmarked.items() if count > 1] == []


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql")), *BROKERS]
)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bus.db'}"
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return request.getfixturevalue("empty_broker")(request.param).url


async def test_consumers_are_killed_at_random(address: str, tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311
    async with opening(address, Limits(lease_seconds=1)) as backend, crew_on(address, tmp_path) as crew:
        desk = Desk(backend)
        sending = asyncio.create_task(send_all(desk))
        for number in range(1, KILLS + 1):
            await crew.until(number * MESSAGES // (KILLS + 1))
            await crew.kill(chance.choice(crew.processes))
            await crew.add()
        await sending
        await crew.until(MESSAGES)
        while await desk.depth() != (0, 0, 0):  # noqa: ASYNC110 - processes work
            await asyncio.sleep(0.02)
    show(crew)


@pytest.mark.parametrize("name", BROKERS)
async def test_the_broker_is_killed(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    broker = request.getfixturevalue("empty_broker")(name)
    async with opening(broker.url, Limits(lease_seconds=1)) as backend, crew_on(broker.url, tmp_path) as crew:
        sending = asyncio.create_task(send_all(Desk(backend)))
        for number in range(1, 4):
            await crew.until(number * MESSAGES // 4)
            broker.kill()
            broker.start()
        await sending
        await crew.until(MESSAGES)
        if forgets_what_is_settled(broker):
            while await depth_if_it_answers(Desk(backend)) != (0, 0, 0):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    show(crew)


def forgets_what_is_settled(broker: Broker) -> bool:
    """Old NATS servers, when they are killed, may keep notes of messages that are gone: see the decision on the bus."""
    if not broker.url.startswith("nats:"):
        return True
    said = subprocess.run([broker.argv[0], "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= (2, 10)


async def depth_if_it_answers(desk: Desk) -> tuple[int, int, int] | None:
    try:
        return await desk.depth()
    except Unavailable:
        return None
