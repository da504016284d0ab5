"""Reading ``.github/workflows``: the part of GitHub Actions that can be run on one machine.

What a job asks for beyond it is its ``refused``, in words; a file that cannot be understood is an error with its line.
Source: GitHub's "Workflow syntax for GitHub Actions". ``on`` says when GitHub runs it, and is not looked at.
"""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bullpen.domain.errors import InvalidInput
from bullpen.flow.definitions.expressions import as_text
from bullpen.flow.pipelines.matrix import MOST_CELLS, expand
from bullpen.flow.pipelines.model import Job, Pipeline, PipelineStep
from bullpen.kernel.yaml_places import Document, KeyPath, read_document, refuse


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else ([] if value is None else value)


def _table(value: object) -> object:
    return {} if value is None else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Table = Annotated[dict[str, Any], BeforeValidator(_table)]
Text = Annotated[str, BeforeValidator(lambda value: value if isinstance(value, str) else as_text(value))]


class _Part(BaseModel):
    """Keys that are not known are GitHub's own matter: they are passed over, unless they are named below."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class _Run(_Part):
    shell: str = ""
    folder: str = Field(default="", alias="working-directory")


class _Defaults(_Part):
    run: _Run = _Run()


class _Step(_Part):
    id: str = ""
    name: Text = ""
    run: str = ""
    uses: str = ""
    given: Table = Field(default_factory=dict, alias="with")
    shell: str = ""
    folder: Text = Field("", alias="working-directory")
    env: Table = Field(default_factory=dict)
    condition: Text = Field("", alias="if")
    may_fail: bool | str = Field(default=False, alias="continue-on-error")
    minutes: float | str | None = Field(None, alias="timeout-minutes")


class _Strategy(_Part):
    matrix: dict[str, Any] | str = Field(default_factory=dict)
    fail_fast: bool | str = Field(default=True, alias="fail-fast")


class _Job(_Part):
    name: Text = ""
    needs: Names = ()
    runs_on: Any = Field("", alias="runs-on")
    condition: Text = Field("", alias="if")
    env: Table = Field(default_factory=dict)
    defaults: _Defaults = _Defaults()
    strategy: _Strategy = _Strategy()
    steps: tuple[_Step, ...] = ()
    outputs: Table = Field(default_factory=dict)
    may_fail: bool | str = Field(default=False, alias="continue-on-error")
    minutes: float | str | None = Field(None, alias="timeout-minutes")
    uses: str = ""
    services: Any = None
    container: Any = None
    environment: Any = None


class _File(_Part):
    name: Text = ""
    env: Table = Field(default_factory=dict)
    defaults: _Defaults = _Defaults()
    jobs: Annotated[dict[str, _Job], Field(min_length=1)]


def read_workflow(text: str, where: str) -> Pipeline:
    """The pipeline in a workflow file.

    Raises:
        InvalidInput: it cannot be understood; file, line and column are named.
    """
    document = read_document(text, where)
    try:
        file = _File.model_validate(document.data)
    except ValidationError as error:
        raise _unreadable(document, error) from error
    _check_needs(document, file)
    jobs = tuple(_job(document, file, name, job) for name, job in file.jobs.items())
    return Pipeline(file.name or where.rsplit("/", 1)[-1], where, jobs)


def _unreadable(document: Document, error: ValidationError) -> InvalidInput:
    faults = [
        document.fault(one["loc"], f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}.")
        for one in error.errors(include_url=False)
    ]
    return refuse(sorted(faults, key=lambda one: (one.line, one.column)))


def _check_needs(document: Document, file: _File) -> None:
    for name, job in file.jobs.items():
        for need in job.needs:
            if need not in file.jobs:
                remedy = f"There are: {', '.join(file.jobs)}."
                raise refuse([document.fault(("jobs", name, "needs"), f"there is no job {need!r}.", remedy)])
        if name in _behind(file, name):
            raise refuse([document.fault(("jobs", name, "needs"), f"the job {name!r} waits for itself.")])


def _behind(file: _File, name: str) -> set[str]:
    found, left = set[str](), list(file.jobs[name].needs)
    while left:
        need = left.pop()
        if need not in found and need in file.jobs:
            found.add(need)
            left.extend(file.jobs[need].needs)
    return found


def _job(document: Document, file: _File, name: str, job: _Job) -> Job:
    path: KeyPath = ("jobs", name)
    cells, refused = _cells(document, path, job)
    inner, outer = job.defaults.run, file.defaults.run
    defaults = (inner.shell or outer.shell, inner.folder or outer.folder)
    return Job(
        id=name,
        name=job.name or name,
        where=document.where,
        steps=tuple(_step(document, path, number, one, defaults) for number, one in enumerate(job.steps)),
        needs=job.needs,
        runs_on=job.runs_on,
        condition=job.condition,
        env={**file.env, **job.env},
        cells=cells,
        fail_fast=job.strategy.fail_fast is True,
        outputs=job.outputs,
        may_fail=job.may_fail,
        seconds=_seconds(job.minutes),
        refused=refused or _refused(job),
        line=document.place(path).line,
    )


def _refused(job: _Job) -> str:
    if job.uses:
        return f"it calls the workflow {job.uses}"
    if job.services:
        return "it needs services beside it"
    if job.container:
        return "it asks for a container image"
    if job.environment:
        held = cast("object", job.environment)
        name = cast("Mapping[str, Any]", held).get("name", "") if isinstance(held, dict) else held
        return f"it deploys to the environment {name}"
    return "" if job.steps else "it has no steps"


def _cells(document: Document, path: KeyPath, job: _Job) -> tuple[tuple[Mapping[str, Any], ...], str]:
    matrix = job.strategy.matrix
    if isinstance(matrix, str):
        return ({},), f"its matrix is computed ({matrix})"
    computed = [name for name, value in matrix.items() if isinstance(value, str)]
    if computed:
        return ({},), f"its matrix is computed ({matrix[computed[0]]})"
    for name, value in matrix.items():
        if not isinstance(value, list):
            raise refuse([document.fault((*path, "strategy", "matrix", name), f"{name!r} must be a list.")])
    axes = {name: value for name, value in matrix.items() if name not in ("include", "exclude")}
    cells = expand(axes, matrix.get("include", ()), matrix.get("exclude", ()))
    if len(cells) > MOST_CELLS:
        raise refuse([document.fault((*path, "strategy"), f"a matrix holds at most {MOST_CELLS} cells.")])
    return cells, "" if cells else "its matrix is empty"


def _step(
    document: Document, path: KeyPath, number: int, step: _Step, defaults: tuple[str, str]
) -> PipelineStep:
    at: KeyPath = (*path, "steps", number)
    if bool(step.run) == bool(step.uses):
        raise refuse([document.fault(at, "a step needs either run or uses.")])
    first = step.run.strip().split("\n", 1)[0]
    return PipelineStep(
        id=step.id,
        name=step.name or step.uses or first,
        run=step.run,
        uses=step.uses,
        given=step.given,
        interpreter=step.shell or defaults[0],
        folder=step.folder or defaults[1],
        env=step.env,
        condition=step.condition,
        may_fail=step.may_fail,
        seconds=_seconds(step.minutes),
        line=document.place(at).line,
    )


def _seconds(minutes: float | str | None) -> float | None:
    return 60.0 * minutes if isinstance(minutes, int | float) else None
