"""Run a command in the sandbox, in the run's checkout. Its exit status and lines ``::measure NAME=VALUE`` are measured."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from bullpen.flow.definitions.base import TAIL, Kind, StepResult, StepState, Work
from bullpen.flow.definitions.model import Plain, Strict
from bullpen.flow.gates import Measured
from bullpen.sandbox.base import Command, End, Outcome
from bullpen.tools.workspace import parts_of

_MEASURE = re.compile(r"^::measure ([A-Za-z_][\w-]{0,63})=(.{1,200})$", re.MULTILINE)


class CommandInputs(Strict):
    """``argv`` as it is, or ``run`` for a shell. ``folder`` is below the checkout.

    ``run`` is never filled in, so that no value can become part of a program: hand values over in ``env``.
    """

    argv: tuple[str, ...] = ()
    run: str = ""
    env: Mapping[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], Plain] = Field(
        default_factory=dict[str, Plain]
    )
    folder: str = ""

    @field_validator("run")
    @classmethod
    def _not_filled_in(cls, text: str) -> str:
        if "${{" in text:
            raise ValueError("a shell's text is not filled in; put the value in env and write $NAME")
        return text

    @field_validator("folder")
    @classmethod
    def _inside(cls, text: str) -> str:
        if text.startswith("/") or ".." in text.split("/"):
            raise ValueError("the folder must be below the checkout")
        return text

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.argv) == bool(self.run):
            raise ValueError("name either argv (a list of words) or run (a text for the shell)")
        return self


async def _run(work: Work, given: CommandInputs) -> StepResult:
    limits = work.bench.means.test_limits()
    if work.timeout is not None:
        limits = replace(limits, wall_seconds=work.timeout)
    command = Command(
        argv=given.argv or ("/bin/sh", "-e", "-c", given.run),
        workspace=work.workspace,
        workspace_writable=True,
        cwd="/".join(("/work", *parts_of(given.folder))),
        env={name: str(value) for name, value in given.env.items()},
        limits=limits,
    )
    async with work.bench.means.lanes:
        return _result(await work.bench.means.sandbox.run(command))


def _result(outcome: Outcome) -> StepResult:
    text = (outcome.stdout + outcome.stderr).decode("utf-8", "replace")
    reason = "" if outcome.ok else _reason(outcome, text)
    state = StepState.DONE if outcome.ok else StepState.FAILED
    return StepResult(state, text[-TAIL:], reason, measured=_measured(outcome))


def _measured(outcome: Outcome) -> dict[str, Measured]:
    measured: dict[str, Measured] = {"seconds": round(outcome.wall_seconds, 3)}
    if outcome.exit_status is not None:
        measured["exit_status"] = outcome.exit_status
    for name, text in _MEASURE.findall(outcome.stdout.decode("utf-8", "replace")):
        measured[name] = _value(text.strip())
    return measured


def _value(text: str) -> Measured:
    if text in ("true", "false"):
        return text == "true"
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else text


def _reason(outcome: Outcome, text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    said = f": {lines[-1].strip()[:200]}" if lines else ""
    if outcome.end is End.EXITED:
        return f"it exited with status {outcome.exit_status}{said}"
    return f"it was ended: {outcome.end.value}{said}"


KIND = Kind(CommandInputs, _run)
