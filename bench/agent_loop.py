"""What the agent loop costs, as ratios to a bare Python loop that does the same calls.

Run with ``python -m bench.agent_loop``. CPU time of this process, the best of several runs; no model and no network.
"""

import asyncio
import gc
import json
import sqlite3
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bullpen.agents.base import RunLimits
from bullpen.agents.kinds.built_in import BuiltIn
from bullpen.agents.registry import load_roster
from bullpen.agents.runtime import Run, run_agent
from bullpen.agents.stuck import Patience
from bullpen.domain.events import Event
from bullpen.domain.ids import TaskId
from bullpen.models.base import AssistantTurn, Delta, Done, Message, Stop, ToolCall, ToolResult
from bullpen.models.history import History
from bullpen.models.registry import Models
from bullpen.tools.base import CallKey, Risk, ToolContext, tool
from bullpen.tools.toolbox import Toolbox, tools_named

REPEATS = 5
STEPS = (10, 1_000, 10_000)
STEP_GATE, DURABLE_GATE, IDLE_GATE, BODY_GATE = 100.0, 400.0, 2048.0, 5_000.0  # µs, µs, bytes, µs


class Counting:
    """A dialogue that calls ``tick`` so many times and then ``finish``; it reads no history."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.count = 0

    def add(self, message: Message) -> None:
        """See ``Dialogue.add``."""

    async def reply(self) -> AsyncIterator[Delta]:
        """See ``Dialogue.reply``."""
        self.count += 1
        if self.count < self.left:
            yield ToolCall(f"c{self.count}", "tick", json.dumps({"number": self.count}))
        else:
            yield ToolCall("end", "finish", '{"summary": "over"}')
        yield Done(Stop.TOOLS)


@dataclass(frozen=True, slots=True)
class Ticked:
    """The next number."""

    number: int


@tool(risk=Risk.READ)
async def tick(ctx: ToolContext, number: int) -> Ticked:
    """Count.

    Args:
        number: Where we are.
    """
    return Ticked(number + 1)


class Nowhere:
    """A journal that keeps nothing."""

    async def past(self, task_id: TaskId, attempt: int) -> Sequence[Event]:
        """See ``Journal.past``."""
        return ()

    async def append(self, *events: Event) -> None:
        """See ``Journal.append``."""


class Sqlite(Nowhere):
    """A journal in an SQLite file: write-ahead log, one transaction per append."""

    def __init__(self, file: Path) -> None:
        self.database = sqlite3.connect(file, isolation_level=None)
        self.database.execute("PRAGMA journal_mode=WAL")
        self.database.execute("PRAGMA synchronous=NORMAL")
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY, kind TEXT, body TEXT)"
        )

    async def append(self, *events: Event) -> None:
        """See ``Journal.append``."""
        rows = [(type(event).__name__, json.dumps(asdict(event))) for event in events]
        self.database.execute("BEGIN")
        self.database.executemany("INSERT INTO event (kind, body) VALUES (?, ?)", rows)
        self.database.execute("COMMIT")


def context_with(journal: Nowhere) -> ToolContext:
    """A context in which ``tick`` and ``finish`` can run."""
    return ToolContext(CallKey(TaskId("bench"), 1, 0, ""), "developer", Path("/nowhere"), journal)


TOOLBOX = Toolbox({"tick": tick, **tools_named(["finish"])})


async def loop(steps: int, journal: Nowhere) -> None:
    """One run of ``steps`` steps."""
    limits = RunLimits(steps=steps + 1, seconds=3600)
    patience = Patience(without_progress=20)
    run = Run("bench", Counting(steps), TOOLBOX, context_with(journal), limits, patience)
    result = await run_agent(run)
    assert result.steps == steps, result


async def bare(steps: int) -> None:
    """What any loop must do: take the reply, parse the call, run the function, write its result as JSON."""
    dialogue = Counting(steps)
    context = context_with(Nowhere())
    for _ in range(steps):
        async for delta in dialogue.reply():
            if isinstance(delta, ToolCall) and delta.tool == "tick":
                json.dumps(asdict(await tick.function(context, **json.loads(delta.arguments))))


def microseconds_per_step(steps: int, work: Callable[[int], Awaitable[None]]) -> float:
    """CPU time of one step, the best of ``REPEATS``; short runs are repeated until they can be measured."""

    async def several() -> float:
        rounds = max(1, 2_000 // steps)
        best = float("inf")
        for _ in range(REPEATS if steps < 10_000 else 2):
            gc.collect()
            begun = time.process_time()
            for _ in range(rounds):
                await work(steps)
            best = min(best, (time.process_time() - begun) / rounds / steps)
        return best * 1e6

    return asyncio.run(several())


def idle_bytes(count: int = 10_000) -> float:
    """Memory of one agent that waits for work, with ``count`` of them in this process."""
    card = load_roster().card("developer")
    models, toolbox = Models(), Toolbox(tools_named(card.tools))
    gc.collect()
    tracemalloc.start()
    agents = [BuiltIn(card, models, toolbox) for _ in range(count)]
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(agents) == count
    return used / count


def body_microseconds(steps: int = 1_000) -> float:
    """CPU time of adding one reply and one result to a history of ``steps`` steps and making the request body."""
    history = History()
    reply, answer = _exchange()
    for _ in range(steps):
        history.add(reply)
        history.add(answer)
    rounds = 50
    begun = time.process_time()
    for _ in range(rounds):
        history.add(reply)
        history.add(answer)
        body = history.body({"model": "bench", "stream": True})
    spent = time.process_time() - begun
    assert len(json.loads(body)["messages"]) == 2 * (steps + rounds)
    return spent / rounds * 1e6


def _exchange() -> tuple[dict[str, object], dict[str, object]]:
    call = AssistantTurn("I look at the file.", (ToolCall("c1", "read_file", '{"path": "src/a.py"}'),))
    return asdict(call), asdict(ToolResult("c1", "read_file", "x = 1\n" * 200))


def main() -> None:
    """Print the figures, their ratio to the bare loop, and the gates."""
    with tempfile.TemporaryDirectory() as folder:
        for steps in STEPS:
            base = microseconds_per_step(steps, bare)
            memory = microseconds_per_step(steps, lambda count: loop(count, Nowhere()))
            journal = Sqlite(Path(folder, f"{steps}.db"))
            durable = microseconds_per_step(steps, lambda count, to=journal: loop(count, to))
            show(f"step at {steps}, nothing kept", memory, "µs", memory / base, STEP_GATE)
            show(f"step at {steps}, durable", durable, "µs", durable / base, DURABLE_GATE)
    show("idle agent, 10,000 of them", idle_bytes(), "bytes", None, IDLE_GATE)
    show("request body at 1,000 steps", body_microseconds(), "µs", None, BODY_GATE)


def show(what: str, value: float, unit: str, ratio: float | None, gate: float) -> None:
    """One line of the result."""
    times = f"{ratio:6.1f} x bare" if ratio is not None else " " * 13
    word = "holds" if value <= gate else "BROKEN"
    print(f"{what:32} {value:9.1f} {unit:5} {times}   gate {gate:g} {unit} {word}")


if __name__ == "__main__":
    main()
