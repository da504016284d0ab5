"""The command for dead letters, on the bus that is set."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.machine.brokers import start_broker

import bullpen
from bullpen.app import open_bus, open_records
from bullpen.domain.actor import agent_actor
from bullpen.kernel.bus.messages import new_message
from bullpen.kernel.settings import Settings


def bullpen_says(home: Path, bus: str, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "BULLPEN_HOME": str(home),
        "BULLPEN_BUS": bus,
        "PYTHONPATH": str(Path(bullpen.__file__).parents[1]),
    }
    argv = [sys.executable, "-m", "bullpen", "messages", *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120)


async def bury(settings: Settings, *payloads: str) -> list[str]:
    """Dead letters, one for each payload; their ids."""
    async with open_records(settings) as records, open_bus(records) as bus:
        organization = records.actor.organization_id
        sent = [new_message(agent_actor(organization, "ann"), "agent:bob", "note", one) for one in payloads]
        await bus.publish(organization, sent)
        for delivery in await bus.claim(organization, ["agent:bob"], 10):
            await bus.bury(delivery, f"no {delivery.message.payload}")
        return [one.id for one in sent]


async def waiting(settings: Settings) -> tuple[int, int]:
    """To be had now, and dead."""
    async with open_records(settings) as records, open_bus(records) as bus:
        depth = await bus.depth(records.actor.organization_id, "agent:bob")
        return depth.ready, depth.dead


def check(home: Path, bus: str) -> None:
    settings = Settings(home=home, bus=bus)
    assert bullpen_says(home, bus, "list").stderr == "There are no dead letters.\n"
    first, second, third = asyncio.run(bury(settings, "one", "two", "three"))
    listed = json.loads(bullpen_says(home, bus, "list", "--json").stdout)
    assert [(one["queue"], one["letter"]["reason"]) for one in listed] == [
        ("agent:bob", "no one"),
        ("agent:bob", "no two"),
        ("agent:bob", "no three"),
    ]
    shown = bullpen_says(home, bus, "show", first).stdout
    assert "payload:      one\n" in shown
    assert "from:         agent:ann\n" in shown
    assert bullpen_says(home, bus, "requeue", first).stderr == "1 message back in the queue.\n"
    assert bullpen_says(home, bus, "purge", second).stderr == "1 message forgotten.\n"
    assert asyncio.run(waiting(settings)) == (1, 1)
    assert bullpen_says(home, bus, "purge", "--queue", "agent:bob").stderr == "1 message forgotten.\n"
    gone = bullpen_says(home, bus, "show", third)
    assert (gone.returncode, "No dead letter is called" in gone.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.req("BUS-03")
def test_dead_letters_in_the_database(tmp_path: Path) -> None:
    check(tmp_path, "")


@pytest.mark.slow
@pytest.mark.req("BUS-03", "BUS-04")
@pytest.mark.needs("redis")
def test_dead_letters_of_the_broker_that_is_set(tmp_path: Path) -> None:
    with start_broker("redis") as broker:
        check(tmp_path, broker.url)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("purge",), "Which dead letters?"),
        (("requeue", "msg-1", "--queue", "agent:bob"), "Which dead letters?"),
    ],
)
def test_what_to_change_must_be_said(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    done = bullpen_says(tmp_path, "", *words)
    assert (done.returncode, sentence in done.stderr) == (2, True)


def test_a_broker_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    done = bullpen_says(tmp_path, "redis://127.0.0.1:1", "list")
    assert done.returncode != 0
    assert "Redis does not answer" in done.stderr
    assert "Traceback" not in done.stderr
