"""The report of a run: Markdown for people, JSON for programs."""

from pathlib import Path

from pydantic import TypeAdapter

from bullpen.flow.pipelines.model import JobRun, JobState, PipelineRun
from bullpen.flow.reports.plain import one_line, shown
from bullpen.kernel.json_text import dump

RUN: TypeAdapter[PipelineRun] = TypeAdapter(PipelineRun)
_ORDER = (JobState.FAILED, JobState.PASSED, JobState.PARTIAL, JobState.NOT_RUN, JobState.SKIPPED)


def write_report(run: PipelineRun, folder: Path) -> None:
    """``report.md`` and ``report.json`` into the run's folder."""
    (folder / "report.json").write_text(dump(RUN, run), "utf-8")
    (folder / "report.md").write_text(as_markdown(run), "utf-8", "replace")


def as_markdown(run: PipelineRun) -> str:
    """The whole report as Markdown."""
    counts = ", ".join(f"{run.count(state)} {state.value}" for state in _ORDER if run.count(state))
    lines = [
        f"# Pipelines of {one_line(run.source)}",
        "",
        f"Commit `{run.commit[:12]}`, {run.seconds:.1f} s: {counts}.",
        "",
        "| job | file | state | time | reason |",
        "| --- | --- | --- | ---: | --- |",
        *(_row(one) for one in run.jobs),
        "",
    ]
    for job in run.jobs:
        if job.steps:
            lines += _steps(job)
    if run.artifacts:
        lines += ["## Artifacts", "", *(f"- `artifacts/{_cell(name)}`" for name in run.artifacts), ""]
    return "\n".join(lines)


def _row(job: JobRun) -> str:
    state = f"{job.state.value} (kept from before)" if job.cached else job.state.value
    cells = (job.label, job.where, state, f"{job.seconds:.1f} s" if job.seconds else "", job.reason)
    return f"| {' | '.join(_cell(one) for one in cells)} |"


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|")


def _steps(job: JobRun) -> list[str]:
    lines = [f"## {_cell(job.label)}", ""]
    for step in job.steps:
        reason = f": {_cell(step.reason)}" if step.reason else ""
        log = f" ([log](logs/{step.log}))" if step.log else ""
        lines.append(f"- {step.state.value}, {step.seconds:.1f} s: {_cell(step.name)}{reason}{log}")
    failed = [one for one in job.steps if one.state is JobState.FAILED and one.tail]
    for step in failed:
        text = "\n".join(f"    {line}" for line in shown(step.tail).splitlines()[-20:])
        lines += ["", f"The end of `{_cell(step.name)}`:", "", text]
    return [*lines, ""]
