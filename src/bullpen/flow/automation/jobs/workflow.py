"""Run a workflow of the repository, or one that is built in."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from bullpen.domain.session import Stage
from bullpen.flow.automation.jobs.base import Errand, Job, Result, result_unless_stopped
from bullpen.flow.definitions.model import Plain, Strict
from bullpen.flow.definitions.run import ENDED
from bullpen.flow.definitions.start import new_run, run_workflow
from bullpen.sessions.queries import find_session


class WorkflowInputs(Strict):
    """``name`` of the workflow, and its ``params``."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    params: Mapping[str, Plain] = Field(default_factory=dict[str, Plain])


async def _run(errand: Errand, given: WorkflowInputs) -> Result:
    means = errand.bench.means
    async with means.database.view(means.actor) as uow:
        session = await find_session(uow, errand.session_id)
    if session is None:
        params = {name: _text(value) for name, value in given.params.items()}
        session = await new_run(means, errand.repo, given.name, params, errand.session_id)
    if session.stage.is_final:
        return Result("done" if session.stage is Stage.DONE else "failed", session.stage.value)
    async with means.database.transaction(means.actor) as uow:
        run = await run_workflow(errand.engine, uow, session)
    ended = ENDED.validate_python(await result_unless_stopped(errand, run))
    waits = ", ".join(one.step for one in ended.waits)
    return Result(ended.outcome, ended.reason or (f"waits at {waits}" if waits else ""))


def _text(value: Plain) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


JOB = Job(WorkflowInputs, _run)
