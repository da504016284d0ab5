"""Improve the repository: find what is wrong, mend what can be proved, leave a branch and a report."""

from typing import Annotated

from pydantic import Field

from bullpen.domain.session import Stage
from bullpen.flow.automation.jobs.base import Errand, Job, Result, result_unless_stopped
from bullpen.flow.definitions.model import Strict
from bullpen.flow.improve.options import ImproveOptions
from bullpen.flow.start import new_improve_session, run_improve
from bullpen.flow.workflows.improve import ENDED, Ended
from bullpen.sessions.queries import find_session


class ImproveInputs(Strict):
    """See `bullpen improve --help`. Recipes that may change behaviour wait for a person, as ever."""

    goal: Annotated[str, Field(max_length=2_000)] = ""
    only: Annotated[tuple[str, ...], Field(max_length=200)] = ()
    max: Annotated[int, Field(ge=1, le=10_000)] = 50
    dry_run: bool = False


async def _run(errand: Errand, given: ImproveInputs) -> Result:
    means = errand.bench.means
    most = min(given.max, means.settings.max_items)
    options = ImproveOptions(errand.repo, given.goal, given.only, most, errand.budget, given.dry_run)
    async with means.database.transaction(means.actor) as uow:
        known = await find_session(uow, errand.session_id)
        if known is not None and known.stage.is_final:
            return Result("done" if known.stage is Stage.DONE else "failed", known.stage.value)
        session = known or await new_improve_session(uow, options, errand.session_id)
        run = await run_improve(errand.engine, uow, session)
    ended = ENDED.validate_python(await result_unless_stopped(errand, run))
    return Result("failed", ended.problem) if ended.problem else Result("done", _words(ended))


def _words(ended: Ended) -> str:
    branch = f", on {ended.branch}" if ended.branch else ""
    return f"{ended.landed} landed, {ended.failed} not{branch}"


JOB = Job(ImproveInputs, _run, spends=True)
