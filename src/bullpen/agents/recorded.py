"""A run of an agent that is not our own loop: recorded like one, held to its limits, never made twice.

Each kind brings only its work. What the agent says on the way is kept as notes, what it used as replies of its model,
so accounts, live views and replays need not know what kind of agent it was.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from bullpen.agents.base import AgentResult, AgentTask, Ending, Used
from bullpen.agents.discovery import Registration
from bullpen.agents.manifest import AgentLimits
from bullpen.domain.errors import AWAY, BullpenError, LimitExceeded
from bullpen.domain.events import Event
from bullpen.domain.events.agent import AgentStarted, AgentStopped, ModelReplied, NoteTaken
from bullpen.domain.money import Money
from bullpen.sandbox.base import Sandbox
from bullpen.tools.base import CallKey, ToolContext, need
from bullpen.tools.text import cut

LONGEST_NOTE = 4_096  # characters
LONGEST_SUMMARY = 16_384
MOST_NOTES = 1_000  # of one run; the rest is not kept
_MOST_DATA = 64
OUTCOMES = ("done", "failed", "no-approach")


@dataclass(slots=True)
class Record:
    """What is known of a run while it lasts."""

    context: ToolContext
    limits: AgentLimits
    task: AgentTask
    seconds: float
    tree: str = ""
    steps: int = 0
    notes: int = 0
    used: Used = field(default_factory=Used)

    async def note(self, text: str) -> None:
        """Keep what the agent says of its progress."""
        self.notes += 1
        if text and self.notes <= MOST_NOTES:
            said = self._clean(text, LONGEST_NOTE)
            event = NoteTaken(self.task.id, self.steps, f"progress-{self.notes}", said)
            await self.context.journal.append(event)

    async def reply(self, text: str, used: Used, calls: Sequence[tuple[str, str, str]] = ()) -> None:
        """Keep one reply of its model with what it used.

        Raises:
            LimitExceeded: the agent used more tokens or money than it may.
        """
        self.steps += 1
        self.used = self.used.plus(used.input_tokens, used.output_tokens, used.cost)
        if self.steps <= MOST_NOTES or used != Used():
            await self.context.journal.append(self._replied(text, used, calls))
        self._check()

    async def restore(self) -> None:
        """Bring the files back to what they were before the run."""
        if self.context.worktree and self.tree:
            await self.context.worktree.restore(self.tree)

    def result(
        self, outcome: str, summary: str, data: Sequence[tuple[str, str]] = (), *, seen: str = ""
    ) -> AgentResult:
        """The agent's own word; an ``outcome`` that is none counts as failed."""
        word = outcome if outcome in OUTCOMES else "failed"
        return AgentResult(
            Ending.FINISHED if word == "done" else Ending.FAILED,
            self._clean(summary, LONGEST_SUMMARY),
            word,
            {cut(name, 128): self._clean(value, LONGEST_SUMMARY) for name, value in data[:_MOST_DATA]},
            self.steps,
            self.used,
            seen=seen,
        )

    def ended(self, ending: Ending, seen: str) -> AgentResult:
        """An end that the agent did not choose."""
        said = self._clean(seen, LONGEST_SUMMARY)
        return AgentResult(ending, said, steps=self.steps, used=self.used, seen=said)

    def _replied(self, text: str, used: Used, calls: Sequence[tuple[str, str, str]]) -> ModelReplied:
        key = self.context.key
        return ModelReplied(
            key.task_id,
            key.attempt,
            self.steps,
            self._clean(text, LONGEST_SUMMARY),
            tuple(
                (cut(one, 128), cut(tool, 128), self._clean(said, LONGEST_NOTE)) for one, tool, said in calls
            ),
            used.input_tokens,
            used.output_tokens,
            used.cost.micro_usd,
        )

    def _check(self) -> None:
        tokens = self.used.input_tokens + self.used.output_tokens
        if self.limits.tokens is not None and tokens > self.limits.tokens:
            raise LimitExceeded(f"It used {tokens} tokens of {self.limits.tokens}.")
        if self.limits.cost is not None and self.used.cost > self.limits.cost:
            raise LimitExceeded(f"It cost {self.used.cost} of {self.limits.cost}.")

    def _clean(self, text: str, longest: int) -> str:
        return cut(self.context.redactor.redact(text), longest)


async def recorded(
    agent: str,
    model: str,
    limits: AgentLimits,
    task: AgentTask,
    context: ToolContext,
    work: Callable[[Record], Awaitable[AgentResult]],
) -> AgentResult:
    """Do ``work`` for one task, and record it.

    A run that ended before is not made again: its end is given back. One that died begins anew on the files as they
    were. ``task.cancel("reason")`` ends it for good, a bare cancel leaves it to be begun again.
    """
    past = await context.journal.past(task.id, task.attempt)
    before = await _end_of(past, context)
    if before is not None:
        return before
    limits = _within(limits, task)
    own = replace(context, role=agent, key=CallKey(task.id, task.attempt, 0, ""))
    seconds = min(limits.seconds, task.seconds if task.seconds is not None else limits.seconds)
    tree = await _begin(agent, model, task, own, past)
    record = Record(own, limits, task, seconds, tree, _steps(past), used=_used(past))
    try:
        result = await _held(record, work)
    except asyncio.CancelledError as cancelled:
        if cancelled.args:
            await asyncio.shield(_stop(record, record.ended(Ending.CANCELLED, str(cancelled.args[0]))))
        raise
    result, tree = await _left(record, result)
    await _stop(record, result, tree)
    return result


async def recorded_in_sandbox(
    registration: Registration,
    task: AgentTask,
    context: ToolContext,
    work: Callable[[Sandbox, Record], Awaitable[AgentResult]],
) -> AgentResult:
    """The same for an agent that has a manifest and runs in the task's sandbox.

    Raises:
        Missing: the task has no sandbox.
    """
    sandbox, manifest = need(context.sandbox, "sandbox"), registration.manifest
    return await recorded(
        manifest.name, registration.title, manifest.limits, task, context, partial(work, sandbox)
    )


async def _held(record: Record, work: Callable[[Record], Awaitable[AgentResult]]) -> AgentResult:
    deadline = asyncio.timeout(record.seconds)
    try:
        async with deadline:
            return await work(record)
    except TimeoutError:
        if not deadline.expired():
            raise
        return record.ended(Ending.LIMIT, f"The time of {record.seconds:g} s was used up.")
    except LimitExceeded as error:
        return record.ended(Ending.LIMIT, error.sentence)
    except BullpenError as error:
        if error.code == AWAY:
            raise
        return record.ended(Ending.FAILED, f"{error.sentence} {error.remedy}".strip())


async def _begin(agent: str, model: str, task: AgentTask, context: ToolContext, past: Sequence[Event]) -> str:
    """The tree the run begins with: that of its first beginning, if there was one."""
    for event in past:
        if isinstance(event, AgentStarted):
            if context.worktree and event.tree:
                await context.worktree.restore(event.tree)
            return event.tree
    tree = await context.worktree.snapshot() if context.worktree else ""
    await context.journal.append(AgentStarted(task.id, agent, model, task.attempt, tree))
    return tree


def _within(limits: AgentLimits, task: AgentTask) -> AgentLimits:
    costs = [cost for cost in (limits.cost, task.cost) if cost is not None]
    return replace(limits, cost=min(costs)) if costs else limits


async def _left(record: Record, result: AgentResult) -> tuple[AgentResult, str]:
    """The result with the tree it left; a failure where its files are such that no tree can hold them."""
    worktree = record.context.worktree
    if worktree is None or not result.done:
        return result, ""
    try:
        return result, await worktree.snapshot()
    except BullpenError as error:
        return record.ended(Ending.FAILED, f"{error.sentence} {error.remedy}".strip()), ""


async def _stop(record: Record, result: AgentResult, tree: str = "") -> None:
    key = record.context.key
    ended = (record.steps, result.ending.value, result.summary, result.outcome)
    answer = tuple(result.data.items())
    await record.context.journal.append(AgentStopped(key.task_id, key.attempt, *ended, answer, tree))


async def _end_of(past: Sequence[Event], context: ToolContext) -> AgentResult | None:
    """The end that was recorded, if one was; the files are then again as the agent left them."""
    for event in past:
        if isinstance(event, AgentStopped):
            if context.worktree and event.tree:
                await context.worktree.restore(event.tree)
            ending = Ending(event.outcome)
            word = event.word or ("done" if ending is Ending.FINISHED else "")
            end = (ending, event.seen, word, dict(event.data), event.steps)
            return AgentResult(*end, used=_used(past), seen="" if word else event.seen)
    return None


def _used(past: Sequence[Event]) -> Used:
    """What a run that died had used; it counts against the limits of the next."""
    used = Used()
    for event in past:
        if isinstance(event, ModelReplied):
            used = used.plus(event.input_tokens, event.output_tokens, Money(event.cost_micro_usd))
    return used


def _steps(past: Sequence[Event]) -> int:
    return max((event.step for event in past if isinstance(event, ModelReplied)), default=0)
