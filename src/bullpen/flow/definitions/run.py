"""Running a workflow: one durable function for a run, one for each of its steps.

A run that must wait for a person or for days ends; what it waits for is stored, and the next run goes on from the results
that are there. Steps that do not need each other run side by side, wave by wave, so that a run that is taken up after a
crash asks for the same steps in the same order.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bullpen.domain.errors import BullpenError, InvalidInput, Missing, PermissionRefused
from bullpen.domain.events import Event
from bullpen.domain.events.workflows import (
    WorkflowEnded,
    WorkflowSentBack,
    WorkflowStarted,
    WorkflowStepEnded,
    WorkflowStepStarted,
    WorkflowSuspended,
)
from bullpen.domain.ids import SessionId
from bullpen.domain.session import STAGES, Stage
from bullpen.flow.definitions.advance import measured_before, next_wave, scope_of, sent_back, to_undo
from bullpen.flow.definitions.base import StepResult, StepState, Wait, Work, kind_named
from bullpen.flow.definitions.check import gate_text
from bullpen.flow.definitions.expressions import fill_all
from bullpen.flow.definitions.ground import open_ground, shared_worktree
from bullpen.flow.definitions.model import Definition, Plain, Retry, Step, Undo
from bullpen.flow.definitions.records import RESULT, WAITS, Asked, State, asked_of, keep_state, state_of
from bullpen.flow.gates import Measured, evaluate, parse_gates
from bullpen.flow.workflows.work_item import Bench
from bullpen.kernel.durable import Json, start_child, step
from bullpen.kernel.json_text import dump, load
from bullpen.kernel.redaction import Redactor
from bullpen.sessions.actions import note_facts, reach_stage
from bullpen.sessions.queries import get_session

GRACE_SECONDS = 2.0  # a sandbox ends its command by its own limit, which says more than our timeout


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: done, failed or waiting."""

    outcome: str
    reason: str = ""
    remedy: str = ""
    waits: tuple[Wait, ...] = ()
    undone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """What a run begins with."""

    run: int
    root: str
    state: State


@dataclass(frozen=True, slots=True)
class StepOrder:
    """One step to run. ``undo`` is the number of the step's compensation, -1 for the step itself."""

    session: str
    root: str
    run: int
    step: str
    round: int
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])
    measured: Mapping[str, Measured] = field(default_factory=dict[str, Measured])
    undo: int = -1


ENDED: TypeAdapter[Ended] = TypeAdapter(Ended)
ORDER: TypeAdapter[StepOrder] = TypeAdapter(StepOrder)


# --- a run ------------------------------------------------------------------------------------------------------------


async def run_definition(bench: Bench, argument: str) -> Json:
    """The durable function of a run. ``argument`` is the session's id; the result an ``Ended`` as JSON values."""
    session_id = SessionId(argument)
    try:
        ended = await _run(bench, session_id)
    except BullpenError as error:
        if error.code == "stopped":
            raise
        ended = Ended("failed", error.sentence, error.remedy)
    await step("end", bool, partial(_end, bench, session_id, ended))
    return ENDED.dump_python(ended, mode="json")


async def _run(bench: Bench, session_id: SessionId) -> Ended:
    begun = await step("begin", Begun, partial(_begin, bench, session_id))
    async with bench.means.database.view(bench.means.actor) as uow:
        asked = await asked_of(uow, session_id)
    definition, params, state = asked.definition, asked.values(), begun.state
    number = 0
    while True:
        state, wave = next_wave(definition, params, state)
        if not wave:
            break
        number += 1
        await step(f"stage-{number}", bool, partial(_stages, bench, session_id, wave))
        orders = [_order(begun, session_id, definition, params, one, state) for one in wave]
        state = state.with_results(await _work(orders))
        before = state
        state, back = sent_back(definition, state)
        await step(f"keep-{number}", bool, partial(_keep, bench, session_id, state, definition, before, back))
    return await _concluded(bench, session_id, begun, definition, params, state)


async def _begin(bench: Bench, session_id: SessionId) -> Begun:
    means = bench.means
    async with means.database.view(means.actor) as uow:
        stored = await get_session(uow, session_id)
        asked = await asked_of(uow, session_id)
    definition, text = asked.definition, asked.texts[asked.name]
    root, run = asked.root or session_id, int(stored.metadata.get("run", "0"))
    opened = await open_ground(means, SessionId(root), asked)
    await shared_worktree(means, SessionId(root), opened)
    steps = tuple(one.id for one in definition.steps)
    await _tell(bench, session_id, WorkflowStarted(asked.name, definition.version, text.digest, run, steps))
    return Begun(run, root, state_of(stored).to_go_on(definition))


async def _stages(bench: Bench, session_id: SessionId, wave: tuple[Step, ...]) -> bool:
    for one in wave:
        if one.stage:
            await _go_to(bench, session_id, Stage(one.stage))
    return True


async def _go_to(bench: Bench, session_id: SessionId, stage: Stage, reason: str = "") -> None:
    async with bench.means.database.transaction(bench.means.actor) as uow:
        current = (await get_session(uow, session_id)).stage
        for one in way(current, stage):
            await reach_stage(uow, session_id, one, reason)


def way(here: Stage, there: Stage) -> tuple[Stage, ...]:
    """The stages to go through, the last one ``there``; empty where it is there, or where no way leads back."""
    ways: dict[Stage, tuple[Stage, ...]] = {here: ()}
    left = [here]
    for stage in left:
        for following in sorted(STAGES[stage]):
            if following not in ways and (following is there or not following.is_final):
                ways[following] = (*ways[stage], following)
                left.append(following)
    return ways.get(there, ())


def _order(
    begun: Begun,
    session_id: SessionId,
    definition: Definition,
    params: Mapping[str, Plain],
    one: Step,
    state: State,
) -> StepOrder | tuple[str, StepResult]:
    """What its durable function is told; a result at once where its inputs cannot be filled in."""
    try:
        given = fill_all(one.given, scope_of(params, state))
    except InvalidInput as error:
        return one.id, StepResult(StepState.FAILED, reason=error.sentence)
    measured = measured_before(definition, one, state)
    return StepOrder(session_id, begun.root, begun.run, one.id, state.round, given, measured)


async def _work(orders: list[StepOrder | tuple[str, StepResult]]) -> dict[str, StepResult]:
    results = dict(one for one in orders if isinstance(one, tuple))
    runs = [(one.step, await _start(one)) for one in orders if isinstance(one, StepOrder)]
    for name, run in runs:
        results[name] = RESULT.validate_python(await run.result())
    return results


async def _start(order: StepOrder) -> Any:
    undo = f":undo-{order.undo}" if order.undo >= 0 else ""
    run_id = f"{order.session}:run-{order.run}:{order.round}:{order.step}{undo}"
    return await start_child("definition_step", run_id, dump(ORDER, order))


async def _keep(
    bench: Bench, session_id: SessionId, state: State, definition: Definition, before: State, back: str
) -> bool:
    async with bench.means.database.transaction(bench.means.actor) as uow:
        await keep_state(uow, session_id, state)
        rule = definition.step(back).send_back if back else None
        if rule is not None:
            uow.record(session_id, WorkflowSentBack(back, rule.to, before.results[back].reason))
    return True


async def _concluded(
    bench: Bench,
    session_id: SessionId,
    begun: Begun,
    definition: Definition,
    params: Mapping[str, Plain],
    state: State,
) -> Ended:
    failed = state.failed()
    if failed:
        state, problems = await _undo(begun, session_id, definition, params, state)
        ended = _failed(state, failed[0], problems)
    elif waits := state.waits():
        ended = Ended("waiting", waits=waits)
    else:
        ended = Ended("done")
    await step("keep-last", bool, partial(_keep, bench, session_id, state, definition, state, ""))
    return ended


def _failed(state: State, name: str, problems: list[str]) -> Ended:
    result = state.results[name]
    words = f"The step {name} failed: {result.reason}"
    if problems:
        words += f" Not taken back: {'; '.join(problems)}"
    return Ended("failed", words, result.remedy, undone=state.undone)


async def _undo(
    begun: Begun,
    session_id: SessionId,
    definition: Definition,
    params: Mapping[str, Plain],
    state: State,
) -> tuple[State, list[str]]:
    """Take finished steps back, the last one first; one that cannot be taken back does not keep the others."""
    undone, problems = list[str](), list[str]()
    for one in to_undo(definition, state):
        held = list[str]()
        for number, undo in enumerate(one.on_failure):
            given = fill_all(undo.given, scope_of(params, state))
            order = StepOrder(session_id, begun.root, begun.run, one.id, state.round, given, {}, number)
            result = RESULT.validate_python(await (await _start(order)).result())
            if result.state is not StepState.DONE:
                held.append(f"{one.id}: {result.reason}")
        problems += held
        undone += [] if held else [one.id]
    return replace(state, undone=tuple(undone)), problems


async def _end(bench: Bench, session_id: SessionId, ended: Ended) -> bool:
    if ended.outcome != "waiting":
        stage = Stage.DONE if ended.outcome == "done" else Stage.FAILED
        await _go_to(bench, session_id, stage, ended.reason)
    async with bench.means.database.transaction(bench.means.actor) as uow:
        run = (await get_session(uow, session_id)).metadata.get("run", "0")
        await note_facts(uow, session_id, run_ended=run, waits=dump(WAITS, ended.waits), ended=ended.outcome)
        await note_facts(uow, session_id, reason=ended.reason, remedy=ended.remedy)
        for wait in ended.waits:
            uow.record(session_id, WorkflowSuspended(wait.step, wait.until, wait.approval))
        if not ended.waits:
            uow.record(session_id, WorkflowEnded(ended.outcome, ended.reason, ended.undone))
    return True


async def _tell(bench: Bench, session_id: SessionId, event: Event) -> None:
    async with bench.means.database.transaction(bench.means.actor) as uow:
        uow.record(session_id, event)


# --- a step -----------------------------------------------------------------------------------------------------------


async def run_step(bench: Bench, argument: str) -> Json:
    """The durable function of a step. ``argument`` is a ``StepOrder`` as JSON; the result a ``StepResult``."""
    order = load(ORDER, argument)
    async with bench.means.database.view(bench.means.actor) as uow:
        asked = await asked_of(uow, SessionId(order.session))
    whole = asked.definition.step(order.step)
    part = whole if order.undo < 0 else whole.on_failure[order.undo]
    await step("start", bool, partial(_tell_start, bench, order, part))
    result = await _tried(bench, order, asked, part)
    if result.child and result.state is StepState.DONE:
        await step("child", bool, partial(_number_child, bench, SessionId(result.child), order.run))
        result = await _child(order, result)
    await step("told", bool, partial(_tell_end, bench, order, result))
    return RESULT.dump_python(result, mode="json")


async def _tell_start(bench: Bench, order: StepOrder, part: Step | Undo) -> bool:
    event = WorkflowStepStarted(order.step, part.kind, order.round, order.undo >= 0)
    await _tell(bench, SessionId(order.session), event)
    return True


async def _tell_end(bench: Bench, order: StepOrder, result: StepResult) -> bool:
    event = WorkflowStepEnded(
        step=order.step,
        state=result.state.value,
        round=order.round,
        tries=result.tries,
        seconds=result.seconds,
        reason=result.reason,
        undo=order.undo >= 0,
    )
    await _tell(bench, SessionId(order.session), event)
    return True


async def _tried(bench: Bench, order: StepOrder, asked: Asked, part: Step | Undo) -> StepResult:
    """Try it, as often as it may be. The moment of the next try is kept, so a restart waits for the rest only."""
    attempt = 1
    while True:
        result, hopeless = await _try(bench, order, asked, part, attempt)
        result = replace(result, tries=attempt)
        if result.state is not StepState.FAILED or hopeless or attempt >= part.retry.tries:
            return result
        at = await step(f"pause-{attempt}", float, partial(_next_try, part.retry, attempt))
        await asyncio.sleep(max(0.0, at - time.time()))
        attempt += 1


async def _next_try(retry: Retry, attempt: int) -> float:
    """When to try again: seconds since 1970, with jitter of half the pause to one and a half."""
    pause = retry.pause * retry.backoff ** (attempt - 1)
    return time.time() + pause * random.uniform(0.5, 1.5)  # noqa: S311 - jitter is no secret


async def _try(
    bench: Bench, order: StepOrder, asked: Asked, part: Step | Undo, attempt: int
) -> tuple[StepResult, bool]:
    """The result, and whether another try cannot help."""
    seconds = None if part.timeout is None else part.timeout + GRACE_SECONDS
    body = partial(_once, bench, order, asked, part, attempt)
    try:
        return await step(f"try-{attempt}", StepResult, body, seconds=seconds), False
    except BullpenError as error:
        if error.code == "stopped":
            raise
        hopeless = isinstance(error, InvalidInput | PermissionRefused | Missing)
        return StepResult(StepState.FAILED, reason=error.sentence, remedy=error.remedy), hopeless


async def _once(bench: Bench, order: StepOrder, asked: Asked, part: Step | Undo, attempt: int) -> StepResult:
    kind, began, root = kind_named(part.kind), time.monotonic(), SessionId(order.root)
    try:
        given = kind.inputs.model_validate(order.given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
    opened = await open_ground(bench.means, root, asked)
    worktree = await shared_worktree(bench.means, root, opened)
    work = Work(
        bench=bench,
        session_id=SessionId(order.session),
        root=root,
        step=order.step if order.undo < 0 else f"{order.step}-undo-{order.undo}",
        round=order.round,
        attempt=attempt,
        run=order.run,
        workspace=worktree.path,
        params=asked.values(),
        measured=order.measured,
        timeout=part.timeout,
    )
    result = _gated(await kind.run(work, given), order, part)
    redact = Redactor().redact
    seconds = round(time.monotonic() - began, 3)
    return replace(result, output=redact(result.output), reason=redact(result.reason), seconds=seconds)


def _gated(result: StepResult, order: StepOrder, part: Step | Undo) -> StepResult:
    """The result, failed where one of the step's conditions is not met."""
    if not isinstance(part, Step) or not part.gate or result.state is not StepState.DONE:
        return result
    own = {f"{order.step}.{name}": value for name, value in result.measured.items()}
    measured = {**order.measured, **result.measured, **own}
    held = evaluate(parse_gates(gate_text(part.gate), order.step), measured, {})
    missed = [f"{one.name}: {one.evidence}" for one in held if not one.passed]
    output = "\n".join([result.output, *(f"{one.name}: {one.evidence}" for one in held)]).strip()
    if not missed:
        return replace(result, output=output)
    return replace(result, state=StepState.FAILED, output=output, reason="; ".join(missed))


async def _number_child(bench: Bench, child: SessionId, run: int) -> bool:
    """Its runs are numbered as its parent's, so that a later one does not find the answers of an earlier one."""
    async with bench.means.database.transaction(bench.means.actor) as uow:
        await note_facts(uow, child, run=str(run), waits="[]")
        if (await get_session(uow, child)).stage in (Stage.FAILED, Stage.CANCELLED):
            await reach_stage(uow, child, Stage.INITIALIZE, "taken up again")
    return True


async def _child(order: StepOrder, result: StepResult) -> StepResult:
    run = await start_child("definition", f"{result.child}:run-{order.run}", result.child)
    ended = ENDED.validate_python(await run.result())
    if ended.outcome == "waiting":
        waits = tuple(replace(one, step=f"{order.step}/{one.step}") for one in ended.waits)
        return replace(result, state=StepState.WAITING, waits=waits)
    if ended.outcome == "failed":
        return replace(result, state=StepState.FAILED, reason=ended.reason, remedy=ended.remedy)
    return result
