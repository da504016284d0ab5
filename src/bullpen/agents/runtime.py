"""The one loop: ask the model, make its calls, record both, until it is done or goes nowhere.

Each reply and each result is recorded before what follows from it, so a run that died goes on from its last event:
no model call is made twice, and a tool runs again only if it had started and not finished, on the files as they were
before it. A step costs the same at any length of the run: nothing is read back.

``task.cancel("reason")`` ends a run for good. A bare cancel, as a shutdown makes it, leaves it to be gone on with.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from bullpen.agents.base import AgentResult, Ending, RunLimits, Used
from bullpen.agents.stuck import CallSeen, Patience, Sighting, Watch, call_seen
from bullpen.domain.errors import BullpenError, Unavailable
from bullpen.domain.events import Event
from bullpen.domain.events.agent import (
    AgentStarted,
    AgentStopped,
    ModelReplied,
    ToolFinished,
    ToolRefused,
)
from bullpen.domain.money import Money
from bullpen.kernel.redaction import REDACTED
from bullpen.models.base import AssistantTurn, Dialogue, Done, PersonTurn, Text, ToolCall, ToolResult
from bullpen.tools.base import CallKey, ToolContext
from bullpen.tools.toolbox import Approval, AwaitsApproval, Toolbox, failure, sentence_of

_ASK_AGAIN = 2  # times a reply that broke off is asked for again
NUDGE = "Call a tool, or call finish if the work is over."
_LOST = (
    "This call was interrupted and held a secret, so it was not made again. Make it again if it is needed."
)


@dataclass(slots=True)
class Run:
    """One run of one agent on one task, and where it stands."""

    model: str
    dialogue: Dialogue
    toolbox: Toolbox
    context: ToolContext
    limits: RunLimits = field(default_factory=RunLimits)
    patience: Patience = field(default_factory=Patience)
    seconds: float | None = None
    steps: int = 0
    used: Used = field(default_factory=Used)
    tried: dict[str, None] = field(default_factory=dict[str, None])  # in order
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.context = replace(self.context, redactor=self.toolbox.redactor)
        self.watch = Watch(self.patience)

    def event(self, kind: type, **values: Any) -> Any:
        """An event of this run."""
        key = self.context.key
        return kind(task_id=key.task_id, attempt=key.attempt, **values)

    def result(self, ending: Ending, seen: str, approval: Approval | None = None) -> AgentResult:
        """An end that the agent did not choose."""
        return AgentResult(
            ending,
            seen,
            steps=self.steps,
            used=self.used,
            tried=tuple(self.tried),
            seen=seen,
            approval=approval,
        )


@dataclass(slots=True)
class Step:
    """A reply, and the results there are for its calls."""

    calls: tuple[ToolCall, ...]
    results: dict[str, ToolResult] = field(default_factory=dict[str, ToolResult])
    event: ModelReplied | None = None  # still to be recorded, with the first call's event


@dataclass(frozen=True, slots=True)
class Recalled:
    """Where the events of a run end.

    ``step`` was begun and not concluded, ``tree`` is the last known state of the files, ``result`` is there if the run
    ended, ``stopped`` if that was recorded.
    """

    step: Step | None = None
    tree: str = ""
    result: AgentResult | None = None
    stopped: bool = False


async def run_agent(run: Run) -> AgentResult:
    """Run to the end, or go on with a run that died; its time is counted anew.

    Everything that ends a run is a result, with the reason in ``seen``; only a cancel is raised, after it is recorded.
    """
    where = await _begin(run)
    if where.result is not None:
        return where.result if where.stopped else await _stop(run, where.result)
    seconds = min(run.limits.seconds, run.seconds if run.seconds is not None else run.limits.seconds)
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            result = await _loop(run, where.step)
    except TimeoutError:
        if not deadline.expired():
            raise
        result = run.result(Ending.LIMIT, f"The time of {seconds:g} s was used up.")
    except asyncio.CancelledError as cancelled:
        if cancelled.args:
            await asyncio.shield(_stop(run, run.result(Ending.CANCELLED, str(cancelled.args[0]))))
        raise
    return await _stop(run, result)


async def _begin(run: Run) -> Recalled:
    """Record the start, or bring the run and its files to where its record ends."""
    context = run.context
    past = await context.journal.past(context.key.task_id, context.key.attempt)
    if any(
        isinstance(event, AgentStarted) for event in past
    ):  # others tell of the attempt, too: who was given it
        where = recall(run, past)
        if context.worktree and where.tree:
            await context.worktree.restore(where.tree)
        return where
    tree = await context.worktree.snapshot() if context.worktree else ""
    await context.journal.append(run.event(AgentStarted, role=context.role, model=run.model, tree=tree))
    return Recalled(tree=tree)


async def _stop(run: Run, result: AgentResult) -> AgentResult:
    if result.ending is not Ending.WAITING:
        seen = run.toolbox.redactor.redact(result.summary)
        stopped = run.event(AgentStopped, steps=run.steps, outcome=result.ending.value, seen=seen)
        await run.context.journal.append(stopped)
    return result


async def _loop(run: Run, step: Step | None) -> AgentResult:
    """Steps until the end. ``step`` is one that was begun before a crash."""
    while True:
        if step is None:
            spent = _spent(run)
            if spent:
                return run.result(Ending.LIMIT, spent)
            try:
                step = await _ask(run)
            except BullpenError as error:
                return run.result(Ending.FAILED, f"The model gave no answer: {sentence_of(error)}")
        try:
            await _make_calls(run, step)
        except AwaitsApproval as waits:
            return run.result(Ending.WAITING, waits.sentence, waits.approval)
        ended = _conclude(run, step)
        if ended is not None:
            return ended
        step = None


def _spent(run: Run) -> str:
    """The limit that is reached, empty if none is."""
    if run.steps >= run.limits.steps:
        return f"All {run.limits.steps} steps were used."
    if run.limits.cost is not None and run.used.cost >= run.limits.cost and run.used.cost > Money():
        return f"The cost reached {run.used.cost} of {run.limits.cost}."
    return ""


async def _ask(run: Run) -> Step:
    """The next reply. One that breaks off is asked for again, at most ``_ASK_AGAIN`` times."""
    for again in range(_ASK_AGAIN, -1, -1):
        try:
            text, calls, done = await _read(run.dialogue)
        except Unavailable:
            if not again:
                raise
            continue
        run.steps += 1
        return _replied(run, text, calls, done)
    raise AssertionError


async def _read(dialogue: Dialogue) -> tuple[str, tuple[ToolCall, ...], Done]:
    texts: list[str] = []
    calls: list[ToolCall] = []
    done: Done | None = None
    async for delta in dialogue.reply():
        match delta:
            case Text(text):
                texts.append(text)
            case ToolCall():
                calls.append(_unique(delta, calls))
            case Done():
                done = delta
    if done is None:
        raise Unavailable("The reply broke off before its end.", code="cut")
    return "".join(texts), tuple(calls), done


def _unique(call: ToolCall, before: Sequence[ToolCall]) -> ToolCall:
    """Some models give two calls of one reply the same id, or none."""
    taken = {other.id for other in before}
    if call.id and call.id not in taken:
        return call
    return replace(call, id=f"{call.id or 'call'}#{len(before)}")


def _replied(run: Run, text: str, calls: tuple[ToolCall, ...], done: Done) -> Step:
    usage = done.usage
    run.used = run.used.plus(usage.input_tokens, usage.output_tokens, usage.cost)
    run.dialogue.add(AssistantTurn(text, calls))
    redact = run.toolbox.redactor.redact
    event = run.event(
        ModelReplied,
        step=run.steps,
        text=redact(text),
        calls=tuple((call.id, call.tool, redact(call.arguments)) for call in calls),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_micro_usd=usage.cost.micro_usd,
    )
    return Step(calls, event=event)


async def _make_calls(run: Run, step: Step) -> None:
    """Make the calls that have no result yet, in order."""
    before = () if step.event is None else (step.event,)
    step.event = None
    for call in step.calls:
        if call.id not in step.results:
            key = CallKey(run.context.key.task_id, run.context.key.attempt, run.steps, call.id)
            result = await run.toolbox.run(call, replace(run.context, key=key), before)
            before = ()
            step.results[call.id] = result
            run.dialogue.add(result)
    if before:
        await run.context.journal.append(*before)
    if not step.calls:
        run.dialogue.add(PersonTurn(NUDGE))


def _conclude(run: Run, step: Step) -> AgentResult | None:
    """The result if the step ended the run, by the agent's word or because it goes nowhere."""
    for call in step.calls:
        result = step.results[call.id]
        _note_approach(run, result)
        if result.ok and run.toolbox.ends(call.tool):
            return _finished(run, _object(result.content))
    sighting = _watched(run, step)
    return run.result(sighting.ending, sighting.seen) if sighting else None


def _watched(run: Run, step: Step) -> Sighting | None:
    seen: list[CallSeen] = [
        call_seen(call, step.results[call.id], writes=run.toolbox.changes_files(call.tool))
        for call in step.calls
    ]
    return run.watch.step(seen)


def _note_approach(run: Run, result: ToolResult) -> None:
    if result.ok and '"approach"' in result.content:
        approach = _object(result.content).get("approach")
        if isinstance(approach, str) and approach:
            run.tried[approach] = None


def _finished(run: Run, said: Mapping[str, Any]) -> AgentResult:
    data = said.get("data")
    values = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    outcome = str(said.get("outcome", "done"))
    return AgentResult(
        Ending.FINISHED if outcome == "done" else Ending.FAILED,
        str(said.get("summary", "")),
        outcome,
        {name: str(value) for name, value in values.items()},
        run.steps,
        run.used,
        tuple(run.tried),
    )


def _object(content: str) -> Mapping[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def recall(run: Run, past: Iterable[Event]) -> Recalled:
    """Bring a run to where its events end, asking nobody."""
    step: Step | None = None
    tree = ""
    for event in past:
        match event:
            case AgentStarted():
                tree = event.tree
            case ModelReplied():
                _close(run, step)
                step = _again(run, event)
            case ToolFinished() if step:
                tree = event.tree or tree
                _answer(run, step, ToolResult(event.call_id, event.tool, event.content, event.ok))
            case ToolRefused() if step:
                _answer(run, step, ToolResult(event.call_id, event.tool, failure(event.reason), ok=False))
            case AgentStopped():
                result = _close(run, step) or run.result(Ending(event.outcome), event.seen)
                return Recalled(tree=tree, result=result, stopped=True)
            case _:
                pass
    if step is None or len(step.results) == len(step.calls):
        return Recalled(tree=tree, result=_close(run, step))
    _give_up_secret_calls(run, step)
    return Recalled(step, tree)


def _again(run: Run, event: ModelReplied) -> Step:
    run.steps = event.step
    run.used = run.used.plus(event.input_tokens, event.output_tokens, Money(event.cost_micro_usd))
    calls = tuple(ToolCall(*call) for call in event.calls)
    run.dialogue.add(AssistantTurn(event.text, calls))
    return Step(calls)


def _answer(run: Run, step: Step, result: ToolResult) -> None:
    step.results[result.call_id] = result
    run.dialogue.add(result)


def _close(run: Run, step: Step | None) -> AgentResult | None:
    """A recorded step, concluded as it was when it was live."""
    if step is None or len(step.results) < len(step.calls):
        return None
    if not step.calls:
        run.dialogue.add(PersonTurn(NUDGE))
    return _conclude(run, step)


def _give_up_secret_calls(run: Run, step: Step) -> None:
    """Arguments were recorded without their secrets; such a call cannot be made as it was meant."""
    for call in step.calls:
        if call.id not in step.results and REDACTED in call.arguments:
            _answer(run, step, ToolResult(call.id, call.tool, failure(_LOST), ok=False))
