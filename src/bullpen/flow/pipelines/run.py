"""Running a project's pipelines: every job, its matrix in parallel lanes, and a report."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from bullpen.domain.errors import BullpenError, Conflict, InvalidInput, NotFound
from bullpen.domain.events.pipelines import (
    PipelineEnded,
    PipelineJobEnded,
    PipelineJobStarted,
    PipelineStarted,
)
from bullpen.domain.ids import SessionId, new_id
from bullpen.domain.session import Session, Stage
from bullpen.flow.definitions.expressions import STATUS_FUNCTIONS, evaluate, functions_in, parse, truth
from bullpen.flow.definitions.run import way
from bullpen.flow.improve.means import Means
from bullpen.flow.pipelines.detect import FILES, own_pipeline
from bullpen.flow.pipelines.github import read_workflow
from bullpen.flow.pipelines.job import Told, objections, run_cell, scope_of
from bullpen.flow.pipelines.kept import JOB_RUN, KIND, Kept, at_commit, ended_jobs
from bullpen.flow.pipelines.matrix import Cell, label
from bullpen.flow.pipelines.model import Job, JobRun, JobState, Pipeline, PipelineRun
from bullpen.flow.pipelines.report import RUN, write_report
from bullpen.flow.pipelines.uses.base import Lane, Site
from bullpen.kernel.json_text import dump, load
from bullpen.sandbox.base import Network
from bullpen.sessions.actions import create_session, note_facts, reach_stage
from bullpen.sessions.queries import find_session, get_session
from bullpen.testing.base import Environment
from bullpen.testing.environment import prepare_environment
from bullpen.testing.interpreters import own_installation
from bullpen.vcs.folders import delete_folder
from bullpen.vcs.git import git
from bullpen.vcs.mirror import Mirror, fetch_mirror
from bullpen.vcs.source import Source, open_source
from bullpen.vcs.trees import TreeEntry, list_tree, read_blobs
from bullpen.vcs.worktrees import Worktree, prune_worktrees, release_worktree, take_worktree

FOLDER = ".github/workflows/"
LARGEST = 1_000_000
_LATE = (JobState.SKIPPED, JobState.NOT_RUN)


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """What is asked. ``jobs`` are ids, or ids with their place in the matrix; empty means all.

    ``own`` takes the project's own commands although it has workflow files. ``partial`` runs what can be run of a job
    some of whose steps cannot. ``network`` lets steps reach the network. ``fresh`` runs again what passed before.
    """

    source: str
    jobs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    own: bool = False
    partial: bool = False
    network: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The pipelines of a commit. ``faulty`` are files that cannot be understood, and why."""

    source: Source
    mirror: Mirror
    entries: tuple[TreeEntry, ...]
    texts: Mapping[str, str]
    pipelines: tuple[Pipeline, ...]
    faulty: tuple[tuple[str, str], ...] = ()


OPTIONS: TypeAdapter[PipelineOptions] = TypeAdapter(PipelineOptions)


async def find_pipelines(mirrors: Path, options: PipelineOptions, commit: str = "") -> Found:
    """Read them from the commit that is checked out, or from the one given; nothing is run.

    Raises:
        NotFound: the project says nowhere how it is tested, linted or built.
        Conflict: there is no such commit any more.
    """
    source = await open_source(options.source)
    mirror = await fetch_mirror(source, mirrors)
    mirror = await at_commit(mirror, commit) if commit else mirror
    entries = tuple(one for one in await list_tree(mirror.path, mirror.base, sizes=True) if one.is_file)
    texts = await _texts(mirror.path, entries)
    pipelines, faulty = _github(texts, options.files)
    if options.own or not (pipelines or faulty):
        own = own_pipeline(texts, frozenset(one.path for one in entries))
        pipelines, faulty = ([own] if own else []), []
    if not pipelines and not faulty:
        raise NotFound(
            f"{source.shown} does not say how it is tested, linted or built.",
            remedy=f"Add {FOLDER}tests.yml, or a Makefile with a target test.",
        )
    return Found(source, mirror, entries, texts, tuple(pipelines), tuple(faulty))


async def _texts(mirror: Path, entries: Sequence[TreeEntry]) -> dict[str, str]:
    wanted = [one for one in entries if _is_read(one)]
    contents = await read_blobs(mirror, (one.blob for one in wanted))
    return {one.path: contents[one.blob].decode("utf-8", "replace") for one in wanted}


def _is_read(entry: TreeEntry) -> bool:
    small = entry.size is not None and entry.size <= LARGEST
    return small and (_is_workflow(entry.path) or entry.path in FILES or entry.path.endswith("-version"))


def _is_workflow(path: str) -> bool:
    inner = path.removeprefix(FOLDER)
    return path.startswith(FOLDER) and "/" not in inner and inner.endswith((".yml", ".yaml"))


def _github(texts: Mapping[str, str], wanted: Sequence[str]) -> tuple[list[Pipeline], list[tuple[str, str]]]:
    pipelines, faulty = list[Pipeline](), list[tuple[str, str]]()
    for path in sorted(filter(_is_workflow, texts)):
        if wanted and path.removeprefix(FOLDER) not in wanted and path not in wanted:
            continue
        try:
            pipelines.append(read_workflow(texts[path], path))
        except BullpenError as error:
            faulty.append((path, error.sentence))
    return pipelines, faulty


@dataclass(slots=True)
class _Run:
    """All that the jobs of a run share."""

    means: Means
    options: PipelineOptions
    session: SessionId
    found: Found
    site: Site
    folder: Path
    told: Told
    environment: Environment | None
    tree: str
    kept: Kept
    gates: dict[tuple[str, str], "asyncio.Task[tuple[JobRun, ...]]"]
    stopped: set[tuple[str, str]]


async def run_pipelines(means: Means, options: PipelineOptions, session_id: str = "") -> PipelineRun:
    """Run them and write the report. One whose session began before goes on at its commit, with what it was asked
    then: jobs that had ended are not run again. One that had ended is told again.

    Raises:
        NotFound: there is no pipeline, or no job of a name.
        Conflict: the session is none of pipelines, or its commit is gone.
    """
    began = time.monotonic()
    session = SessionId(session_id or new_id("ses"))
    known = await _begun(means, session)
    if known is not None:
        if (done := _concluded(means, known)) is not None:
            return done
        options = load(OPTIONS, known.options)
    found = await find_pipelines(means.mirrors, options, known.metadata.get("commit", "") if known else "")
    chosen = _chosen(found, options)
    run = await _open(means, options, found, session)
    labels = tuple(label(job.id, cell) for job in chosen for cell in _cells(job, options))
    await _tell(run, PipelineStarted(found.mirror.base, labels))
    try:
        for job in chosen:
            run.gates[job.where, job.id] = asyncio.create_task(_job(run, job))
        results = await asyncio.gather(*run.gates.values())
    finally:
        for gate in run.gates.values():
            gate.cancel()
        await delete_folder(run.site.scratch)
    faulty = tuple(JobRun("", path, path, JobState.NOT_RUN, reason=why) for path, why in found.faulty)
    kept = tuple(sorted(one.name for one in run.site.artifacts.iterdir()))
    whole = PipelineRun(
        session=run.session,
        source=found.source.shown,
        commit=found.mirror.base,
        seconds=round(time.monotonic() - began, 3),
        jobs=(*(one for several in results for one in several), *faulty),
        artifacts=kept,
        folder=str(run.folder),
    )
    await asyncio.to_thread(write_report, whole, run.folder)
    await _close(run, whole)
    return whole


async def _begun(means: Means, session_id: SessionId) -> Session | None:
    async with means.database.view(means.actor) as uow:
        known = await find_session(uow, session_id)
    if known is not None and known.kind != KIND:
        raise Conflict(f"{session_id} is no run of pipelines.", remedy="Choose another id.")
    return known


def _concluded(means: Means, session: Session) -> PipelineRun | None:
    """What a run that has ended came to, by its report."""
    if not session.stage.is_final:
        return None
    try:
        return load(RUN, (means.folder(session.id).path / "pipeline" / "report.json").read_bytes())
    except (OSError, ValueError) as error:
        raise Conflict(f"{session.id} has ended, and its report is gone.", remedy="Run it anew.") from error


def _chosen(found: Found, options: PipelineOptions) -> list[Job]:
    """The jobs asked for, and those they need."""
    every = [job for pipeline in found.pipelines for job in pipeline.jobs]
    if not options.jobs:
        return every
    known = {name for job in every for name in (job.id, *(label(job.id, cell) for cell in job.cells))}
    unknown = [name for name in options.jobs if name not in known]
    if unknown:
        raise NotFound(f"There is no job {unknown[0]!r}; there are: {', '.join(sorted(known))}.")
    wanted = {(job.where, job.id) for job in every if _cells(job, options)}
    left = list(wanted)
    while left:
        where, name = left.pop()
        job = next(one for one in every if (one.where, one.id) == (where, name))
        for need in job.needs:
            if (where, need) not in wanted:
                wanted.add((where, need))
                left.append((where, need))
    return [job for job in every if (job.where, job.id) in wanted]


def _cells(job: Job, options: PipelineOptions) -> tuple[Cell, ...]:
    if not options.jobs or job.id in options.jobs:
        return job.cells
    return tuple(cell for cell in job.cells if label(job.id, cell) in options.jobs)


async def _open(means: Means, options: PipelineOptions, found: Found, session: SessionId) -> _Run:
    folder = means.folder(session).path / "pipeline"
    cache = means.settings.home / "cache" / "pipelines" / found.mirror.path.stem
    scratch = means.folder(session).path / "scratch"
    await delete_folder(scratch)  # what a killed process left there
    await prune_worktrees(found.mirror.path, means.folder(session).worktrees, ())
    for one in (
        folder / "logs",
        folder / "artifacts",
        folder / "results",
        cache / "jobs",
        cache / "kept",
        scratch,
    ):
        one.mkdir(parents=True, exist_ok=True)
    async with means.database.transaction(means.actor) as uow:
        if await find_session(uow, session) is None:
            asked = {"goal": f"run the pipelines of {found.source.name}", "project": options.source}
            await create_session(uow, session, kind=KIND, **asked, options=dump(OPTIONS, options))
        await note_facts(uow, session, commit=found.mirror.base)
        told = await ended_jobs(uow, session)
    site = Site(
        sandbox=means.sandbox,
        limits=means.test_limits(),
        network=Network.HOST if options.network else Network.NONE,
        blobs={one.path: one.blob for one in found.entries},
        texts=found.texts,
        artifacts=folder / "artifacts",
        cache=cache / "kept",
        scratch=scratch,
    )
    branch = found.source.branch or "main"
    github: dict[str, Any] = {
        "sha": found.mirror.base,
        "ref": f"refs/heads/{branch}",
        "ref_name": branch,
        "repository": found.source.name,
        "event_name": "push",
        "workspace": "/work",
        "workflow": "",
        "actor": "bullpen",
        "run_id": session,
        "event": {},
    }
    tree = (await git(found.mirror.path, "rev-parse", f"{found.mirror.base}^{{tree}}")).text
    own = any(job.where and not _is_workflow(job.where) for one in found.pipelines for job in one.jobs)
    environment = await _environment(means, found, scratch) if own else None
    kept = Kept(folder / "results", told)
    return _Run(
        means, options, session, found, site, folder, Told(github), environment, tree, kept, {}, set()
    )


async def _environment(means: Means, found: Found, scratch: Path) -> Environment:
    """What the project's own commands run with: the environment its tests would be given."""
    worktree = await take_worktree(found.mirror.path, scratch, "environment", found.mirror.base)
    files = found.source.files
    checkout = files.work_tree if files else None
    wanted, home = means.settings.python or None, means.settings.home
    made = await prepare_environment(worktree.path, home, means.sandbox, wanted, checkout=checkout)
    await release_worktree(worktree)
    return made


async def _job(run: _Run, job: Job) -> tuple[JobRun, ...]:
    """All cells of a job, when those it needs have ended."""
    needed: dict[str, tuple[JobRun, ...]] = {}
    for need in job.needs:
        needed[need] = await run.gates[job.where, need]
    told = replace(run.told, needs={name: _as_needed(runs) for name, runs in needed.items()})
    cells = _cells(job, run.options) or job.cells
    return tuple(await asyncio.gather(*(_cell(run, job, cell, told, needed) for cell in cells)))


def _as_needed(runs: Iterable[JobRun]) -> dict[str, Any]:
    states = {one.state for one in runs}
    good = states <= {JobState.PASSED, JobState.PARTIAL}
    result = "success" if good else "failure" if JobState.FAILED in states else "skipped"
    outputs: dict[str, str] = {}
    for one in runs:
        outputs.update(one.outputs)
    return {"result": result, "outputs": outputs}


async def _cell(
    run: _Run, job: Job, cell: Cell, told: Told, needed: Mapping[str, Sequence[JobRun]]
) -> JobRun:
    """The result of one cell: the one that was kept before the run was interrupted, if there is one."""
    name = label(job.id, cell)
    ended = await asyncio.to_thread(run.kept.recall, job.where, name)
    if ended is None:
        ended = await _ended(run, job, cell, told, needed)
        await asyncio.to_thread(run.kept.keep, ended)
    if ended.state is JobState.FAILED and job.fail_fast:
        run.stopped.add((job.where, job.id))
    if name not in run.kept.told:
        await _tell(run, PipelineJobEnded(name, ended.state.value, ended.seconds, ended.reason))
    return ended


async def _ended(
    run: _Run, job: Job, cell: Cell, told: Told, needed: Mapping[str, Sequence[JobRun]]
) -> JobRun:
    try:
        return await _decided(run, job, cell, told, needed)
    except InvalidInput as error:
        name = label(job.id, cell)
        return JobRun(job.id, name, job.where, JobState.NOT_RUN, cell, reason=error.sentence)


async def _decided(
    run: _Run, job: Job, cell: Cell, told: Told, needed: Mapping[str, Sequence[JobRun]]
) -> JobRun:
    """Run it, or say why not."""
    name = label(job.id, cell)
    state, reason = _beforehand(run, job, cell, told, needed)
    if reason:
        return JobRun(job.id, name, job.where, state, cell, reason=reason)
    refused, left_out = await objections(job, cell, told, run.site)
    if refused or (left_out and not run.options.partial):
        why = refused or "; ".join(left_out.values())
        return JobRun(job.id, name, job.where, JobState.NOT_RUN, cell, reason=why)
    async with run.means.lanes:
        if (job.where, job.id) in run.stopped:
            return JobRun(job.id, name, job.where, JobState.SKIPPED, cell, reason="another cell failed")
        key = _key(run, job, cell, told)
        known = None if run.options.fresh or job.outputs else await asyncio.to_thread(_recall, run, key)
        if known is not None:
            return replace(known, cached=True)
        await _tell(run, PipelineJobStarted(name))
        ended = await _in_worktree(run, job, cell, told, left_out)
    if ended.state is JobState.PASSED and not _keeps_artifacts(job):
        (_kept(run) / key).write_text(dump(JOB_RUN, ended), "utf-8")
    return ended


def _beforehand(
    run: _Run, job: Job, cell: Cell, told: Told, needed: Mapping[str, Sequence[JobRun]]
) -> tuple[JobState, str]:
    results = {name: _as_needed(runs)["result"] for name, runs in needed.items()}
    bad = [name for name, result in results.items() if result != "success"]
    status = "failure" if any(results[name] == "failure" for name in bad) else "success"
    node = parse(job.condition) if job.condition else None
    if bad and (node is None or not functions_in(node) & STATUS_FUNCTIONS):
        return JobState.SKIPPED, f"it needs {bad[0]}, which did not pass"
    scope = scope_of(job, cell, told, run.site, job.env, status=status)
    if node is not None and not truth(evaluate(node, scope)):
        return JobState.SKIPPED, f"not {' '.join(job.condition.split())}"
    return JobState.PASSED, ""


async def _in_worktree(run: _Run, job: Job, cell: Cell, told: Told, left_out: Mapping[int, str]) -> JobRun:
    owner = f"pipeline-{secrets.token_hex(8)}"
    mirror = run.found.mirror
    worktree = await take_worktree(mirror.path, run.means.folder(run.session).worktrees, owner, mirror.base)
    home = run.site.scratch / owner
    home.mkdir()
    try:
        lane = _lane(run, worktree, home)
        return await run_cell(job, cell, told, lane, run.folder / "logs", left_out)
    finally:
        await release_worktree(worktree)
        await delete_folder(home)


def _lane(run: _Run, worktree: Worktree, home: Path) -> Lane:
    lane = Lane(run.site, worktree.path, home)
    made = run.environment
    if made is not None:
        lane.mounts.extend(made.mounts)
        lane.path.append(made.python.rpartition("/")[0])
        lane.env.update({"PYTHONPATH": ":".join(made.import_paths), **dict(made.variables)})
    own = own_installation()
    lane.mounts.extend(one for one in own.mounts if one not in lane.mounts)
    lane.path.extend((f"{own.prefix}/bin", "/usr/local/go/bin"))
    return lane


def _keeps_artifacts(job: Job) -> bool:
    return any("artifact" in step.uses for step in job.steps)


def _key(run: _Run, job: Job, cell: Cell, told: Told) -> str:
    """The same content, the same job, the same tools: the same result."""
    parts = (run.tree, repr(job), repr(cell), repr(run.environment), repr(told.needs), run.site.network.value)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _kept(run: _Run) -> Path:
    return run.site.cache.parent / "jobs"


def _recall(run: _Run, key: str) -> JobRun | None:
    """A result an earlier run kept; one that cannot be read is as good as none."""
    try:
        return load(JOB_RUN, (_kept(run) / key).read_bytes())
    except (OSError, ValueError):
        return None


async def _close(run: _Run, whole: PipelineRun) -> None:
    async with run.means.database.transaction(run.means.actor) as uow:
        stage = Stage.DONE if whole.ok else Stage.FAILED
        here = (await get_session(uow, run.session)).stage
        for one in way(here, stage):
            await reach_stage(uow, run.session, one)
        uow.record(
            run.session,
            PipelineEnded(
                passed=whole.count(JobState.PASSED, JobState.PARTIAL),
                failed=whole.count(JobState.FAILED),
                not_run=whole.count(*_LATE),
                seconds=whole.seconds,
                report=whole.folder,
            ),
        )


async def _tell(run: _Run, event: PipelineStarted | PipelineJobStarted | PipelineJobEnded) -> None:
    async with run.means.database.transaction(run.means.actor) as uow:
        uow.record(run.session, event)
