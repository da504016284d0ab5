"""Run another workflow as a step, in a session of its own; it may wait, and this one waits with it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from bullpen.domain.errors import InvalidInput
from bullpen.flow.definitions.base import Kind, StepResult, StepState, Work
from bullpen.flow.definitions.model import Plain, Strict
from bullpen.flow.definitions.records import asked_of, child_id, create_run


class WorkflowInputs(Strict):
    """``name`` of the workflow, and its ``params``."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    params: Mapping[str, Plain] = Field(default_factory=dict[str, Plain])


async def _run(work: Work, given: WorkflowInputs) -> StepResult:
    """Make its session, once; the runner runs it as a durable function of its own."""
    means = work.bench.means
    child = child_id(work.session_id, work.key)
    async with means.database.transaction(means.actor) as uow:
        mine = await asked_of(uow, work.session_id)
        if given.name not in mine.texts:
            raise InvalidInput(f"The run does not hold the workflow {given.name!r}.")
        asked = replace(mine, name=given.name, params=dict(given.params), root=work.root)
        await create_run(uow, asked, session_id=child, parent=work.session_id)
    return StepResult(StepState.DONE, given.name, child=child)


KIND = Kind(WorkflowInputs, _run, waits=True)
