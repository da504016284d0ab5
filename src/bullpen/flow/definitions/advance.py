"""What comes next in a run, from the results so far. Pure: a run that is taken up again decides the same."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bullpen.domain.errors import InvalidInput
from bullpen.flow.definitions.base import StepResult, StepState
from bullpen.flow.definitions.expressions import (
    STATUS_FUNCTIONS,
    Scope,
    evaluate,
    functions_in,
    parse,
    truth,
)
from bullpen.flow.definitions.model import Definition, Plain, Step
from bullpen.flow.definitions.records import State
from bullpen.flow.gates import Measured


def next_wave(
    definition: Definition, params: Mapping[str, Plain], state: State
) -> tuple[State, tuple[Step, ...]]:
    """The steps that can be run side by side now, in the order of the file; those whose condition fails are skipped."""
    while True:
        ready = [step for step in definition.steps if _is_ready(step, state)]
        fresh: dict[str, StepResult] = {}
        wave: list[Step] = []
        for step in ready:
            held = _condition(step, params, state)
            if held is None:
                wave.append(step)
            else:
                fresh[step.id] = held
        if not fresh or wave:
            return state.with_results(fresh) if fresh else state, tuple(wave)
        state = state.with_results(fresh)


def _is_ready(step: Step, state: State) -> bool:
    ended = {name for name, one in state.results.items() if one.state is not StepState.WAITING}
    return step.id not in state.results and ended.issuperset(step.needs)


def _condition(step: Step, params: Mapping[str, Plain], state: State) -> StepResult | None:
    """None if the step is to run; otherwise how it ended without running."""
    has_failed = bool(state.failed())
    try:
        node = parse(step.when) if step.when else None
        own_status = node is not None and bool(functions_in(node) & STATUS_FUNCTIONS)
        if has_failed and not own_status:
            return StepResult(StepState.SKIPPED, reason=f"{state.failed()[0]} failed")
        if node is None or truth(evaluate(node, scope_of(params, state))):
            return None
    except InvalidInput as error:
        return StepResult(StepState.FAILED, reason=error.sentence)
    return StepResult(StepState.SKIPPED, reason=f"not {step.when}")


def scope_of(params: Mapping[str, Plain], state: State) -> Scope:
    """What expressions may look at."""
    failed = bool(state.failed())
    steps: dict[str, Any] = {name: _seen(one) for name, one in state.results.items()}
    contexts = {"params": params, "steps": steps, "run": {"round": state.round}, "missing": state.missing}
    functions = {
        "success": lambda: not failed,
        "failure": lambda: failed,
        "always": lambda: True,
        "cancelled": lambda: False,
    }
    return Scope(contexts, functions)


def _seen(one: StepResult) -> Mapping[str, Any]:
    return {
        "state": one.state.value,
        "ok": one.state is StepState.DONE,
        "output": one.output.strip(),
        "reason": one.reason,
        "measured": dict(one.measured),
    }


def measured_before(definition: Definition, step: Step, state: State) -> dict[str, Measured]:
    """What the steps before measured: each under ``STEP.NAME``, and under ``NAME`` what was measured last."""
    before = definition.ancestors(step.id)
    results = sorted((one.order, name, one) for name, one in state.results.items() if name in before)
    found: dict[str, Measured] = {}
    for _, name, result in results:
        for what, value in result.measured.items():
            found[what] = found[f"{name}.{what}"] = value
    return found


def sent_back(definition: Definition, state: State) -> tuple[State, str]:
    """The state after the one failed step sent the work back, and that step; unchanged and empty where none may."""
    failed = state.failed()
    if len(failed) != 1:
        return state, ""
    step = definition.step(failed[0])
    rule, times = step.send_back, state.sent.get(step.id, 0)
    if rule is None or times >= rule.most:
        return state, ""
    again = definition.from_on(rule.to)
    return replace(
        state,
        results={name: one for name, one in state.results.items() if name not in again},
        round=state.round + 1,
        missing=state.results[step.id].reason,
        sent={**state.sent, step.id: times + 1},
    ), step.id


def to_undo(definition: Definition, state: State) -> tuple[Step, ...]:
    """Finished steps that can be taken back, the last to end first."""
    done = [
        (state.results[step.id].order, number, step)
        for number, step in enumerate(definition.steps)
        if step.on_failure and step.id in state.results
        and state.results[step.id].state is StepState.DONE
    ]  # fmt: skip
    return tuple(step for _, _, step in sorted(done, key=lambda one: one[:2], reverse=True))
