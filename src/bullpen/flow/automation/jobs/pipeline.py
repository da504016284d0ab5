"""Run the project's own checks: its GitHub Actions jobs, or its test, lint and build commands."""

from typing import Annotated

from pydantic import Field

from bullpen.flow.automation.jobs.base import Errand, Job, Result
from bullpen.flow.definitions.model import Strict
from bullpen.flow.pipelines.model import JobState
from bullpen.flow.pipelines.run import PipelineOptions, run_pipelines


class PipelineInputs(Strict):
    """See `bullpen pipeline run --help`. Steps never reach the network here."""

    jobs: Annotated[tuple[str, ...], Field(max_length=200)] = ()
    files: Annotated[tuple[str, ...], Field(max_length=200)] = ()
    own: bool = False
    partial: bool = False
    fresh: bool = False


async def _run(errand: Errand, given: PipelineInputs) -> Result:
    options = PipelineOptions(
        errand.repo, given.jobs, given.files, own=given.own, partial=given.partial, fresh=given.fresh
    )
    done = await run_pipelines(errand.bench.means, options, errand.session_id)
    counts = (f"{done.count(state)} {state.value}" for state in JobState if done.count(state))
    return Result("done" if done.ok else "failed", ", ".join(counts))


JOB = Job(PipelineInputs, _run)
