"""The agents that are registered, how they fare, and who gets a task.

Idle agents are rows of values: no process, no timer, no task. Ten thousand of them are a few megabytes.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Protocol, runtime_checkable

from bullpen.agents.base import Agent, AgentResult, AgentTask, Ending
from bullpen.agents.discovery import Discovery, Key, Registration
from bullpen.agents.health import (
    UNKNOWN,
    Checkup,
    Health,
    Standing,
    began,
    ended,
    examined,
    is_fault,
    let_go,
)
from bullpen.agents.means import Means
from bullpen.agents.registry import Quarantined
from bullpen.domain.errors import AWAY, BullpenError, LimitExceeded, NotFound, Unavailable
from bullpen.domain.ids import derived_id
from bullpen.kernel.extend import ExtensionPoint
from bullpen.sandbox.base import Sandbox
from bullpen.tools.base import ToolContext

EXAMINED_AT_ONCE = 8


class Kind(Protocol):
    """What a file in ``kinds/`` has as its ``KIND`` where its agents come from a manifest."""

    def registered(self, registration: Registration, means: Means) -> Agent:
        """The agent a registration stands for."""
        ...


@runtime_checkable
class Examined(Protocol):
    """An agent whose health can be asked for."""

    async def examine(self, sandbox: Sandbox) -> Checkup:
        """Find out whether it is well; never raises."""
        ...


class Ledger(Protocol):
    """Where it is kept how agents fare, for all processes. Health that is given back counts the runs of all of them."""

    async def begin(self, key: Key, one: Registration, run: str, admit: Callable[[Health], None]) -> Health:
        """Count one more task, unless ``admit`` refuses. A ``run`` that was begun before and not ended counts once."""
        ...

    async def end(self, key: Key, one: Registration, run: str, change: Callable[[Health], Health]) -> Health:
        """A task has ended."""
        ...

    async def learn(self, key: Key, one: Registration, change: Callable[[Health], Health]) -> Health:
        """Something else became known of it."""
        ...

    async def read(self, agents: Mapping[Key, Registration]) -> Mapping[Key, Health]:
        """How they fare, those of which nothing is known left out."""
        ...


KINDS: ExtensionPoint[Kind] = ExtensionPoint("bullpen.agents.kinds", "KIND")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent that could take a task now, and why it stands where it does in the order."""

    key: Key
    registration: Registration
    score: float
    why: str


@dataclass(slots=True)
class Fleet:
    """See the module. ``clock`` counts seconds, without a ledger such that never go back.

    With a ``ledger`` the health of the agents is that of all processes; ``refresh`` takes over what others learnt.
    """

    means: Means = field(default_factory=Means)
    clock: Callable[[], float] = time.monotonic
    ledger: Ledger | None = None
    agents: dict[Key, Registration] = field(default_factory=dict[Key, Registration])
    quarantined: tuple[Quarantined, ...] = ()
    _health: dict[Key, Health] = field(default_factory=dict[Key, Health])
    _ready: dict[Key, Agent] = field(default_factory=dict[Key, Agent])  # those that were made ready

    def register(self, found: Discovery) -> None:
        """Take over what was found. One that changed starts with a clean record, one that is gone gets no more tasks."""
        for key, old in self.agents.items():
            new = found.agents.get(key)
            if new is None or new.revision != old.revision:
                running = self.health(key).running
                self._ready.pop(key, None)
                self._health.pop(key, None)
                if new is not None and running:
                    self._health[key] = replace(UNKNOWN, running=running)
        self.agents = dict(found.agents)
        self.quarantined = found.quarantined

    def health(self, key: Key) -> Health:
        """How an agent fares."""
        return self._health.get(key, UNKNOWN)

    def standing(self, key: Key) -> Standing:
        """Whether an agent gets tasks now."""
        return self.health(key).standing(self.clock())

    def stop(self, key: Key, reason: str) -> None:
        """A person says that it gets no more tasks; what runs goes on."""
        self._known(key)
        self._health[key] = replace(self.health(key), stopped=reason or "stopped")

    def restart(self, key: Key) -> None:
        """A person says that it gets tasks again, with a clean record."""
        self._known(key)
        running = self.health(key).running
        self._ready.pop(key, None)
        self._health[key] = replace(UNKNOWN, running=running)

    def candidates(self, capability: str = "", path: str = "") -> list[Candidate]:
        """Who could take a task now, the best first: the nearest namespace, then success, load and latency."""
        found = [
            _candidate(key, one, self.health(key), capability)
            for key, one in self.agents.items()
            if self._may(key, one, capability, path)
        ]
        return sorted(found, key=lambda one: (-_depth(one.key[0]), -one.score, one.key))

    async def process(
        self, key: Key, task: AgentTask, context: ToolContext, capability: str = ""
    ) -> AgentResult:
        """Let one agent work on a task.

        Raises:
            NotFound: there is no such agent.
            LimitExceeded: it works on as many tasks as it may.
            Unavailable: it is drained or stopped; the sentence says why and for how long.
        """
        registration = self._known(key)
        run = derived_id("run", *key, task.id, str(task.attempt), length=20)
        await self._begin(key, registration, run)
        started = time.monotonic()
        try:
            agent = await self._made_ready(key, registration)
            result = await agent.process(task, context)
        except BullpenError as error:
            if error.code == AWAY:  # our own records could not be reached: that says nothing about it
                self._health[key] = let_go(self.health(key))
                raise
            result = AgentResult(
                Ending.FAILED, error.sentence, seen=f"{error.sentence} {error.remedy}".strip()
            )
        except BaseException:
            await asyncio.shield(self._end(key, registration, run, let_go))
            raise
        now, seconds = self.clock(), time.monotonic() - started
        await self._end(
            key, registration, run, lambda health: ended(health, result, capability, seconds, now)
        )
        return result

    async def process_anywhere(
        self, task: AgentTask, context: ToolContext, capability: str = "", path: str = "", tries: int = 3
    ) -> tuple[Key, AgentResult]:
        """Let the best agent work on a task; where it breaks, the next one begins it anew. Who ended it, and how.

        Raises:
            Unavailable: nobody can take it now.
        """
        tree = await context.worktree.snapshot() if context.worktree else ""
        last: tuple[Key, AgentResult] | None = None
        broken: set[Key] = set()
        while len(broken) < tries:
            key = next((one.key for one in self.candidates(capability, path) if one.key not in broken), None)
            if key is None:
                break
            if broken and context.worktree:
                await context.worktree.restore(tree)
            attempt = replace(task, attempt=task.attempt + len(broken))
            last = key, await self.process(key, attempt, context, capability)
            if not is_fault(last[1]):
                return last
            broken.add(key)
        if last is None:
            raise Unavailable(self._nobody(capability, path), remedy="Add such an agent, or try again later.")
        return last

    async def examine(self, keys: Iterable[Key], sandbox: Sandbox) -> dict[Key, Checkup]:
        """Ask these agents how they are, a few at once, and act on it: one that is not well is drained."""
        room = asyncio.Semaphore(EXAMINED_AT_ONCE)

        async def one(key: Key) -> tuple[Key, Checkup]:
            async with room:
                return key, await self._examine(key, sandbox)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(key)) for key in keys]
        return dict(task.result() for task in tasks)

    async def refresh(self) -> None:
        """Take over from the ledger what other processes learnt, and what people stopped."""
        if self.ledger is not None:
            self._health.update(await self.ledger.read(self.agents))

    async def cleanup(self) -> None:
        """Let go of every agent that was made ready."""
        ready, self._ready = self._ready, {}
        for agent in ready.values():
            await agent.cleanup()

    async def _examine(self, key: Key, sandbox: Sandbox) -> Checkup:
        try:
            agent = await self._made_ready(key, self._known(key))
        except BullpenError as error:
            checkup = Checkup(alive=False, error=error.sentence)
        else:
            checkup = await agent.examine(sandbox) if isinstance(agent, Examined) else Checkup(alive=True)
        await self._learn(key, lambda health: examined(health, checkup, self.clock()))
        return checkup

    async def _begin(self, key: Key, registration: Registration, run: str) -> None:
        """Count one more task, if the agent may take it."""
        if self.ledger is None:
            self._admit(registration, self.health(key))
            self._health[key] = began(self.health(key))
            return
        self._health[key] = await self.ledger.begin(
            key, registration, run, lambda health: self._admit(registration, health)
        )

    async def _end(
        self, key: Key, registration: Registration, run: str, change: Callable[[Health], Health]
    ) -> None:
        if self.ledger is None:
            self._health[key] = change(self.health(key))
        else:
            self._health[key] = await self.ledger.end(key, registration, run, change)

    async def _learn(self, key: Key, change: Callable[[Health], Health]) -> None:
        if self.ledger is None or key not in self.agents:
            self._health[key] = change(self.health(key))
        else:
            self._health[key] = await self.ledger.learn(key, self.agents[key], change)

    async def _made_ready(self, key: Key, registration: Registration) -> Agent:
        """The agent itself; made on its first task."""
        agent = self._ready.get(key)
        if agent is None:
            agent = KINDS.load(registration.manifest.kind).registered(registration, self.means)
            await agent.initialize()
            self._ready[key] = agent
        return agent

    def _known(self, key: Key) -> Registration:
        if key not in self.agents:
            raise NotFound(f"There is no agent {key[1]!r}{f' in {key[0]}' if key[0] else ''}.")
        return self.agents[key]

    def _admit(self, registration: Registration, health: Health) -> None:
        now = self.clock()
        standing = health.standing(now)
        if standing is Standing.STOPPED:
            raise Unavailable(f"{registration.name} is stopped: {health.stopped}.")
        if standing is Standing.DRAINED:
            left = (health.rest_until or now) - now
            raise Unavailable(f"{registration.name} rests for {left:.0f} s more: {health.last_error}")
        most = 1 if standing is Standing.ON_TRIAL else registration.manifest.limits.concurrency
        if health.running >= most:
            raise LimitExceeded(f"{registration.name} works on {health.running} tasks already, its limit.")

    def _may(self, key: Key, one: Registration, capability: str, path: str) -> bool:
        if capability and capability not in one.manifest.capabilities:
            return False
        if not _covers(key[0], path):
            return False
        health = self.health(key)
        standing = health.standing(self.clock())
        most = {Standing.READY: one.manifest.limits.concurrency, Standing.ON_TRIAL: 1}.get(standing, 0)
        return health.running < most and not (capability and health.untrue(capability))

    def _nobody(self, capability: str, path: str) -> str:
        skilled = [
            key
            for key, one in self.agents.items()
            if (not capability or capability in one.manifest.capabilities) and _covers(key[0], path)
        ]
        what = f" with the capability {capability!r}" if capability else ""
        if not skilled:
            return f"There is no agent{what}."
        counts = [f"{key[1]}: {self._why_not(key, capability)}" for key in skilled[:5]]
        return f"No agent{what} is free ({'; '.join(counts)})."

    def _why_not(self, key: Key, capability: str) -> str:
        health = self.health(key)
        if capability and health.untrue(capability):
            return f"{health.skill(capability).well} of {health.skill(capability).tried} such tasks came out well"
        standing = health.standing(self.clock())
        return "busy" if standing in (Standing.READY, Standing.ON_TRIAL) else standing.value


def _covers(namespace: str, path: str) -> bool:
    return not namespace or PurePosixPath(path).is_relative_to(namespace)


def _depth(namespace: str) -> int:
    return len(PurePosixPath(namespace).parts) if namespace else 0


def _candidate(key: Key, one: Registration, health: Health, capability: str) -> Candidate:
    """Success counts most; a loaded or slow agent comes after an equal one."""
    tally = health.skill(capability) if capability else health.tasks
    load = health.running / one.manifest.limits.concurrency
    score = tally.rate - 0.5 * load - 0.1 * health.latency / (health.latency + 60.0)
    why = (
        f"{tally.well} of {tally.tried} came out well, load {health.running}/{one.manifest.limits.concurrency}, "
        f"{health.latency:.1f} s a task"
    )
    return Candidate(key, one, score, why)
