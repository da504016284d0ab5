"""What every kind of agent must hold, whoever made it. Programs are stand-ins; the sandbox, the broker, HTTP are real."""

import asyncio
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.agents.model_server import model_server
from tests.agents.remote_server import RemoteAgent, door, remote_agent
from tests.agents.stand_ins import STREAMS, write_acp, write_cli, write_script

from bullpen.agents.base import Agent, AgentTask, Ending, RunLimits
from bullpen.agents.card import Card
from bullpen.agents.discovery import Source, discover
from bullpen.agents.fleet import KINDS, Examined
from bullpen.agents.kinds.built_in import BuiltIn
from bullpen.agents.kinds.coding_cli import ADAPTERS
from bullpen.agents.means import Means
from bullpen.domain.events import Event
from bullpen.domain.events.agent import AgentStarted, AgentStopped, ModelReplied
from bullpen.domain.ids import TaskId
from bullpen.domain.money import Money
from bullpen.models.providers.scripted import Scripted, call
from bullpen.models.registry import Models
from bullpen.sandbox.base import Sandbox
from bullpen.tools.base import CallKey, ToolContext
from bullpen.tools.memory import MemoryJournal, MemoryWorktree
from bullpen.tools.toolbox import Toolbox, tools_named

KEY = "sk-real-key-0123456789abcdef"
OUTSIDE = (*(f"coding_cli {name}" for name in STREAMS), "acp", "remote", "script")
EVERY = ("built_in", *OUTSIDE)
pytestmark = pytest.mark.needs("bubblewrap")


@dataclass
class Case:
    """One kind of agent, ready to be used."""

    agent: Agent
    context: ToolContext
    kind: str


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder the sandbox's user may reach."""
    with tempfile.TemporaryDirectory(prefix="kinds-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


async def _behave(remote: RemoteAgent, task: Mapping[str, Any]) -> web.Response:
    if "HANG" in task["text"]:
        return web.Response(status=202)
    if "FAIL" in task["text"]:
        said = {"type": "result", "outcome": "failed", "summary": "Credit balance is too low"}
        return web.json_response(said)
    usage = {"type": "usage", "input_tokens": 100, "output_tokens": 7, "cost_usd": "0.0061"}
    await remote.call_back(task, usage)
    await remote.call_back(task, {"type": "result", "outcome": "done", "summary": "It is done."})
    return web.Response(status=202)


def _built_in(script: str = "done") -> Agent:
    said = "It is done." if script == "done" else "Credit balance is too low"
    models = Models(
        {"default": "scripted:"}, {"scripted": Scripted.of([call("finish", outcome=script, summary=said)])}
    )
    card = Card("one", "Stands in.", "Do it.", ("finish",), limits=RunLimits())
    return BuiltIn(card, models, Toolbox(tools_named(card.tools)))


async def _outside(kind: str, place: Path, stack: AsyncExitStack) -> Agent:
    agents, means = place / "agents", Means(lambda name: KEY if name == "THE_KEY" else None)
    agents.mkdir()
    family, _, adapter = kind.partition(" ")
    head = f"name: one\nversion: 1.0.0\npurpose: Stands in.\nkind: {family}\n"
    if family == "coding_cli":
        program = write_cli(place / "programs", adapter)
        server = await stack.enter_async_context(model_server())
        where = f"adapter: {adapter}\ncommand: ['{program}']\nsecret: THE_KEY\nurl: {server.url}\n"
        (agents / "one.yaml").write_text(head + where)
    elif family == "remote":
        callbacks = await stack.enter_async_context(door())
        remote = await stack.enter_async_context(remote_agent(_behave))
        means = replace(means, callbacks=callbacks)
        (agents / "one.yaml").write_text(f"{head}url: {remote.url}\n")
    else:
        {"acp": write_acp, "script": write_script}[family](agents)
    found = discover([Source(agents)])
    assert not found.quarantined
    return KINDS.load(family).registered(found.agents["", "one"], means)


@pytest.fixture(params=EVERY)
async def case(request: pytest.FixtureRequest, place: Path, sandbox: Sandbox) -> AsyncIterator[Case]:
    workspace = place / "work"
    workspace.mkdir()
    (workspace / "calc.py").write_text("x = 1\n")
    context = ToolContext(
        CallKey(TaskId("task-1"), 1, 0, ""),
        "one",
        workspace,
        MemoryJournal(),
        sandbox=sandbox,
        worktree=MemoryWorktree(workspace),
    )
    async with AsyncExitStack() as stack:
        kind: str = request.param
        agent = _built_in() if kind == "built_in" else await _outside(kind, place, stack)
        yield Case(agent, context, kind)


def task(word: str, seconds: float = 60.0) -> AgentTask:
    return AgentTask(TaskId("task-1"), f"{word} it.", seconds=seconds)


only_outside = pytest.mark.parametrize("case", OUTSIDE, indirect=True)


def test_every_kind_and_every_assistant_is_held_to_this() -> None:
    assert {kind.partition(" ")[0] for kind in EVERY} == set(KINDS.names())
    assert set(STREAMS) == set(ADAPTERS.names())


@pytest.mark.req("AGT-01", "AGT-04")
async def test_it_is_made_ready_does_a_task_and_lets_go(case: Case) -> None:
    await case.agent.initialize()
    result = await case.agent.process(task("DO"), case.context)
    await case.agent.cleanup()
    assert result.done, result
    assert result.summary.endswith("It is done.")
    first, last = case.context.journal.events[0], case.context.journal.events[-1]
    assert isinstance(first, AgentStarted)
    assert isinstance(last, AgentStopped)
    assert (first.role, last.outcome) == ("one", "finished")


async def test_its_own_word_of_failure_is_not_a_fault(case: Case) -> None:
    if case.kind == "built_in":
        case.agent = _built_in("failed")
    result = await case.agent.process(task("FAIL"), case.context)
    assert (result.ending, result.outcome, result.done) == (Ending.FAILED, "failed", False)
    assert "Credit balance is too low" in result.summary or case.kind == "coding_cli aider"


async def test_the_same_attempt_is_not_made_twice(case: Case) -> None:
    first = await case.agent.process(task("DO"), case.context)
    count = len(case.context.journal.events)
    again = await case.agent.process(task("DO"), case.context)
    assert (again.done, again.used) == (first.done, first.used)
    assert len(case.context.journal.events) == count
    runs = case.context.workspace / "runs"
    assert not runs.exists() or runs.read_text() == "x\n"


async def test_two_tasks_at_once_do_not_mix(case: Case) -> None:
    tasks = [replace(task("DO"), id=TaskId(f"task-{number}")) for number in (1, 2)]
    results = await asyncio.gather(*(case.agent.process(one, case.context) for one in tasks))
    assert [result.done for result in results] == [True, True]
    stopped = [event.task_id for event in case.context.journal.events if isinstance(event, AgentStopped)]
    assert sorted(stopped) == ["task-1", "task-2"]


@only_outside
async def test_what_it_used_is_counted(case: Case) -> None:
    used = (await case.agent.process(task("DO"), case.context)).used
    assert (used.input_tokens, used.output_tokens) == (100, 7)
    assert used.cost == (Money() if case.kind in ("coding_cli codex", "coding_cli gemini") else Money(6100))
    replies = [event for event in case.context.journal.events if isinstance(event, ModelReplied)]
    assert sum(one.input_tokens for one in replies) == 100
    assert sum(one.cost_micro_usd for one in replies) == used.cost.micro_usd


@only_outside
@pytest.mark.req("AGT-07")
async def test_its_time_ends_it(case: Case) -> None:
    result = await case.agent.process(task("HANG", seconds=1.5), case.context)
    assert (result.ending, result.outcome, result.seen) == (
        Ending.LIMIT,
        "",
        "The time of 1.5 s was used up.",
    )


class Announced(MemoryJournal):
    """Says when a run began."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    async def append(self, *events: Event) -> None:
        await super().append(*events)
        self.begun.set()


@only_outside
async def test_cancelling_with_a_reason_is_recorded(case: Case) -> None:
    journal = Announced()
    running = asyncio.create_task(case.agent.process(task("HANG"), replace(case.context, journal=journal)))
    await asyncio.wait_for(journal.begun.wait(), 30)
    running.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await running
    last = journal.events[-1]
    assert isinstance(last, AgentStopped)
    assert (last.outcome, last.seen) == ("cancelled", "enough")


@only_outside
async def test_a_bare_cancel_leaves_it_to_be_begun_again(case: Case) -> None:
    journal = Announced()
    context = replace(case.context, journal=journal)
    running = asyncio.create_task(case.agent.process(task("HANG"), context))
    await asyncio.wait_for(journal.begun.wait(), 30)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not any(isinstance(event, AgentStopped) for event in journal.events)
    (case.context.workspace / "half").write_text("left by the run that died")
    assert (await case.agent.process(task("DO"), context)).done
    assert not (case.context.workspace / "half").exists()
    assert sum(isinstance(event, AgentStarted) for event in journal.events) == 1


@pytest.mark.parametrize("case", [one for one in OUTSIDE if one.startswith("coding_cli")], indirect=True)
async def test_the_key_is_never_in_the_sandbox(case: Case) -> None:
    assert (await case.agent.process(task("DO"), case.context)).done
    environment = (case.context.workspace / "env").read_text()
    assert KEY not in environment
    assert "=bullpen-" in environment or '"bullpen-' in environment


@only_outside
@pytest.mark.req("AGT-06")
async def test_its_health_can_be_asked_for(case: Case, sandbox: Sandbox) -> None:
    assert isinstance(case.agent, Examined)
    assert (await case.agent.examine(sandbox)).alive


@pytest.mark.req("AGT-12")
async def test_idle_it_is_small(case: Case) -> None:
    """The agent itself; what it shares with others of its kind is not counted."""
    kind = type(case.agent)
    fields = [getattr(case.agent, name) for name in kind.__dataclass_fields__]
    tracemalloc.start()
    agents = [kind(*fields) for _ in range(10_000)]
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used / len(agents) < 2048
