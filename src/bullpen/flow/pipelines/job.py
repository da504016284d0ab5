"""Running one cell of a job: its steps in order, each in the sandbox, in one checkout."""

import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from bullpen.domain.errors import BullpenError, InvalidInput
from bullpen.flow.definitions.expressions import (
    STATUS_FUNCTIONS,
    Function,
    Scope,
    as_text,
    evaluate,
    fill,
    fill_all,
    functions_in,
    names_in,
    parse,
    templates,
    truth,
)
from bullpen.flow.pipelines.matrix import Cell, label
from bullpen.flow.pipelines.model import Job, JobRun, JobState, PipelineStep, StepRun
from bullpen.flow.pipelines.uses.base import HOME, Acted, Lane, Site, action_named
from bullpen.kernel.redaction import Redactor
from bullpen.sandbox.base import End, Mount, Network, Outcome
from bullpen.tools.workspace import parts_of, read_bytes

TAIL = 2_000
LONGEST_NAME = 60
_FILES = "_files"
_SHELLS: Mapping[str, tuple[str, ...]] = {
    "": ("/bin/bash", "-e", "{0}"),
    "bash": ("/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "{0}"),
    "sh": ("/bin/sh", "-e", "{0}"),
    "python": ("python", "{0}"),
}
_LINUX = ("ubuntu", "linux", "self-hosted", "x64")
_OFFLINE = re.compile(
    rb"name resolution|resolve host|Network is unreachable|Name or service not known|dns error|Network connectivity is"
    rb"|No matching distribution found|network was disabled|Failed to establish a new connection|ENOTCACHED|EAI_AGAIN|GOPROXY=off|--offline",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a run says of its repository to expressions, and of the jobs that ended before."""

    github: Mapping[str, Any]
    needs: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class _Course:
    """A cell as it runs."""

    job: Job
    cell: Cell
    lane: Lane
    told: Told
    logs: Path
    runs: list[StepRun] = field(default_factory=list[StepRun])
    steps: dict[str, Any] = field(default_factory=dict[str, Any])
    env: dict[str, Any] = field(default_factory=dict[str, Any])
    failed: bool = False

    def scope(self, env: Mapping[str, Any] | None = None) -> Scope:
        status = "failure" if self.failed else "success"
        return scope_of(
            self.job, self.cell, self.told, self.lane.site, {**self.env, **(env or {})}, self.steps, status
        )


def scope_of(
    job: Job,
    cell: Cell,
    told: Told,
    site: Site,
    env: Mapping[str, Any] | None = None,
    steps: Mapping[str, Any] | None = None,
    status: str = "success",
) -> Scope:
    """What expressions of a job may look at. There are no secrets and no inputs here."""
    contexts = {
        "github": told.github,
        "matrix": cell,
        "env": env or {},
        "steps": steps or {},
        "needs": told.needs,
        "job": {"status": status},
        "runner": {"os": "Linux", "arch": "X64", "temp": f"{HOME}/_temp", "tool_cache": f"{HOME}/_tools"},
        "strategy": {"fail-fast": job.fail_fast, "job-total": len(job.cells)},
        "secrets": {},
        "vars": {},
        "inputs": {},
    }

    def hashed(*patterns: Any) -> str:
        return site.hash_files(*map(as_text, patterns))

    functions: dict[str, Function] = {
        "success": lambda: status == "success",
        "failure": lambda: status == "failure",
        "always": lambda: True,
        "cancelled": lambda: False,
        "hashfiles": hashed,
    }
    return Scope(contexts, functions)


async def objections(job: Job, cell: Cell, told: Told, site: Site) -> tuple[str, dict[int, str]]:
    """Why a cell cannot be run at all, and why single steps of it cannot, by their number.

    Raises:
        InvalidInput: an expression cannot be read.
    """
    scope = scope_of(job, cell, told, site, job.env)
    if job.refused:
        return job.refused, {}
    labels = [label.lower() for label in _texts(fill_all(job.runs_on, scope))]
    if not all(one.startswith(_LINUX) for one in labels):
        return f"it wants to run on {', '.join(labels)}", {}
    found: dict[int, str] = {}
    for number, step in enumerate(job.steps):
        if _is_left_out(step, scope):
            continue
        if lacking := await _lacking(step, scope, site):
            return lacking, {}
        if problem := _objection(step):
            found[number] = problem
    return "", found


def _texts(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [as_text(one) for one in cast("Sequence[Any]", value)]
    if isinstance(value, Mapping):
        return _texts(cast("Mapping[str, Any]", value).get("labels", ""))
    return [as_text(value)]


def _is_left_out(step: PipelineStep, scope: Scope) -> bool:
    """Whether its condition is false whatever the steps before it come to."""
    if not step.condition:
        return False
    node = parse(step.condition)
    uncertain = functions_in(node) & STATUS_FUNCTIONS or any(
        name[0].lower() in ("steps", "job", "env") for name in names_in(node)
    )
    return not uncertain and not truth(evaluate(node, scope))


async def _lacking(step: PipelineStep, scope: Scope, site: Site) -> str:
    """What of an action we know is not here: without it, no later step would mean anything."""
    action = action_named(step.uses) if step.uses else None
    return await action.objection(site, fill_all(step.given, scope)) if action else ""


def _objection(step: PipelineStep) -> str:
    """Why this one step cannot be run, though others can."""
    if step.uses and action_named(step.uses) is None:
        return f"the action {step.uses} cannot be run here"
    if secret := _secret_in((step.run, step.env, step.given)):
        return f"{_short(step.name)}: it needs the secret {secret}"
    known = step.uses or step.interpreter in _SHELLS or "{0}" in step.interpreter
    return "" if known else f"{_short(step.name)}: the shell {step.interpreter} is not here"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"


def _secret_in(value: Any) -> str:
    if isinstance(value, str):
        paths = [path for text in templates(value) for path in names_in(parse(text))]
        return next((path[1] for path in paths if path[0].lower() == "secrets" and len(path) > 1), "")
    if isinstance(value, Mapping):
        return _secret_in(list(cast("Mapping[str, Any]", value).values()))
    parts = cast("Sequence[Any]", value) if isinstance(value, list | tuple) else ()
    return next((found for one in parts if (found := _secret_in(one))), "")


async def run_cell(
    job: Job, cell: Cell, told: Told, lane: Lane, logs: Path, left_out: Mapping[int, str]
) -> JobRun:
    """Run the steps of one cell; those in ``left_out`` are not run, and said."""
    began = time.monotonic()
    name = label(job.id, cell)
    course = _Course(job, cell, lane, told, logs)
    try:
        _prepare(course)
        course.env.update(fill_all(job.env, course.scope()))
        for number, step in enumerate(job.steps):
            await _step(course, number, step, left_out.get(number, ""))
        if not course.failed:
            for save in lane.saves:
                await save()
        outputs = {key: fill(as_text(value), course.scope()) for key, value in job.outputs.items()}
    except BullpenError as error:
        failed = StepRun("prepare", JobState.FAILED, reason=error.sentence)
        course.runs.append(failed)
        course.failed, outputs = True, {}
    state, reason = _verdict(course)
    seconds = round(time.monotonic() - began, 3)
    return JobRun(job.id, name, job.where, state, cell, seconds, reason, tuple(course.runs), outputs)


def _verdict(course: _Course) -> tuple[JobState, str]:
    offline = next((one for one in course.runs if one.state is JobState.NOT_RUN and one.log), None)
    failed = next((one for one in course.runs if one.state is JobState.FAILED), None)
    left = [one for one in course.runs if one.state is JobState.NOT_RUN and not one.log]
    if course.failed and failed:
        return JobState.FAILED, f"{failed.name}: {failed.reason}"
    if offline and course.failed:
        return JobState.NOT_RUN, f"{offline.name}: {offline.reason}"
    if left:
        return JobState.PARTIAL, "; ".join(one.reason for one in left)
    return JobState.PASSED, ""


def _prepare(course: _Course) -> None:
    """The folders and the variables GitHub's runner would give."""
    for folder in ("_files", "_temp", "_tools"):
        (course.lane.home / folder).mkdir(parents=True, exist_ok=True)
    offline = course.lane.site.network is Network.NONE
    course.lane.env.update(
        {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": "/work",
            "HOME": HOME,
            "RUNNER_OS": "Linux",
            "RUNNER_TEMP": f"{HOME}/_temp",
            **{f"GITHUB_{name.upper()}": as_text(value) for name, value in course.told.github.items()},
            **(
                {"UV_OFFLINE": "1", "PIP_NO_INDEX": "1", "GOPROXY": "off", "npm_config_offline": "true"}
                if offline
                else {}
            ),
        }
    )


async def _step(course: _Course, number: int, step: PipelineStep, problem: str) -> None:
    began = time.monotonic()
    try:
        run, outputs = await _ran(course, number, step, problem)
    except InvalidInput as error:
        run, outputs = StepRun(step.name, JobState.FAILED, reason=error.sentence), {}
    run = _with_seconds(run, began)
    course.runs.append(run)
    bad = run.state is JobState.FAILED or (run.state is JobState.NOT_RUN and bool(run.log))
    forgiven = bad and truth(fill_all(step.may_fail, course.scope()))
    course.failed = course.failed or (bad and not forgiven)
    words = {JobState.PASSED: "success", JobState.FAILED: "failure"}
    outcome = "failure" if bad else words.get(run.state, "skipped")
    if step.id:
        conclusion = "success" if forgiven else outcome
        course.steps[step.id] = {"outputs": outputs, "outcome": outcome, "conclusion": conclusion}


def _with_seconds(run: StepRun, began: float) -> StepRun:
    return replace(run, seconds=round(time.monotonic() - began, 3))


async def _ran(
    course: _Course, number: int, step: PipelineStep, problem: str
) -> tuple[StepRun, Mapping[str, str]]:
    env = {name: as_text(value) for name, value in fill_all(step.env, course.scope()).items()}
    scope = course.scope(env)
    name = _short(fill(step.name, scope))
    if not _is_wanted(course, step, scope):
        return StepRun(name, JobState.SKIPPED, reason=f"not {step.condition or 'success()'}"), {}
    if problem:
        return StepRun(name, JobState.NOT_RUN, reason=problem), {}
    if step.uses:
        return await _acted(course, step, name, scope)
    return await _scripted(course, number, step, name, env)


def _is_wanted(course: _Course, step: PipelineStep, scope: Scope) -> bool:
    if not step.condition:
        return not course.failed
    node = parse(step.condition)
    held = truth(evaluate(node, scope))
    return held and (not course.failed or bool(functions_in(node) & STATUS_FUNCTIONS))


async def _acted(
    course: _Course, step: PipelineStep, name: str, scope: Scope
) -> tuple[StepRun, Mapping[str, str]]:
    action = action_named(step.uses)
    done = Acted(problem="it is not known here")
    if action is not None:
        done = await action.run(course.lane, fill_all(step.given, scope))
    state = JobState.FAILED if done.problem else JobState.PASSED
    return StepRun(name, state, reason=done.problem, tail=done.said), done.outputs


async def _scripted(
    course: _Course, number: int, step: PipelineStep, name: str, env: Mapping[str, str]
) -> tuple[StepRun, Mapping[str, str]]:
    scope, lane = course.scope(env), course.lane
    script = f"step-{number}"
    (lane.home / _FILES / script).write_text(fill(step.run, scope), "utf-8", "surrogateescape")
    files = {
        one: f"{HOME}/{_FILES}/{one.lower()}-{number}" for one in ("ENV", "PATH", "OUTPUT", "STEP_SUMMARY")
    }
    for path in files.values():
        (lane.home / _FILES / path.rsplit("/", 1)[-1]).touch()
    folder = "/".join(parts_of(fill(step.folder, scope)))
    given = {key: as_text(value) for key, value in course.env.items()}
    own = {f"GITHUB_{one}": path for one, path in files.items()}
    outcome = await lane.run(
        _shell(step.interpreter, f"{HOME}/{_FILES}/{script}"),
        env={**given, **env, **own},
        folder=folder,
        mounts=_guard(lane.home, script),
        seconds=step.seconds or course.job.seconds,
    )
    outputs = _read_files(course, number)
    log = f"{re.sub(r'[^A-Za-z0-9.-]+', '_', label(course.job.id, course.cell))}-{number + 1}.log"
    text = Redactor().redact((outcome.stdout + outcome.stderr).decode("utf-8", "replace"))
    (course.logs / log).write_text(text, "utf-8", "replace")
    return _judged(outcome, name, text, log, lane.site.network), outputs


def _guard(home: Path, script: str) -> tuple[Mount, ...]:
    """The script is read-only for what runs it."""
    return (Mount(home / _FILES / script, f"{HOME}/{_FILES}/{script}"),)


def _shell(shell: str, script: str) -> tuple[str, ...]:
    known = _SHELLS.get(shell) or tuple(shlex.split(shell))
    return tuple(word.replace("{0}", script) for word in known)


def _judged(outcome: Outcome, name: str, text: str, log: str, network: Network) -> StepRun:
    run = StepRun(name, JobState.PASSED, exit_status=outcome.exit_status, tail=text[-TAIL:], log=log)
    if outcome.ok:
        return run
    said = outcome.stdout + outcome.stderr
    if network is Network.NONE and _OFFLINE.search(said):
        return replace(run, state=JobState.NOT_RUN, reason="it needs the network; allow it with --network")
    how = f"status {outcome.exit_status}" if outcome.end is End.EXITED else outcome.end.value
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("make: ***")]
    return replace(run, state=JobState.FAILED, reason=f"{how}: {lines[-1][:200]}" if lines else how)


def _read_files(course: _Course, number: int) -> dict[str, str]:
    """What the step wrote for later steps: variables, folders for the path, outputs."""
    course.env.update(_pairs(_content(course.lane.home, f"env-{number}")))
    for line in _content(course.lane.home, f"path-{number}").splitlines():
        if line.startswith("/") and ":" not in line:
            course.lane.path.insert(0, line)
    return _pairs(_content(course.lane.home, f"output-{number}"))


def _content(home: Path, name: str) -> str:
    """A file a job wrote is read without following links; what is no file any more holds nothing."""
    try:
        return read_bytes(home, f"{_FILES}/{name}").decode("utf-8", "replace")
    except BullpenError:
        return ""


def _pairs(text: str) -> dict[str, str]:
    """``NAME=VALUE`` lines, and ``NAME<<END`` … ``END`` for values of several lines."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        start = re.fullmatch(r"([A-Za-z_][\w-]*)<<(\S+)", line)
        if start:
            held: list[str] = []
            for inner in lines:
                if inner == start[2]:
                    break
                held.append(inner)
            found[start[1]] = "\n".join(held)
        elif (pair := re.fullmatch(r"([A-Za-z_][\w-]*)=(.*)", line)) is not None:
            found[pair[1]] = pair[2]
    return found
