"""The roast: analysers side by side over a tree, what they saw merged, identified and remembered."""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bullpen.analysis.base import Analyser, AnalyserRun, Persona, Reach, SourceTree
from bullpen.analysis.cache import ObservationCache, cache_key
from bullpen.analysis.fingerprints import identify
from bullpen.analysis.merge import merge
from bullpen.domain.errors import BullpenError, Missing, NotFound
from bullpen.domain.finding import Finding, Observation
from bullpen.kernel.extend import ExtensionPoint
from bullpen.sandbox.base import Sandbox

ANALYSERS: ExtensionPoint[Analyser] = ExtensionPoint("bullpen.analysis.analysers", "ANALYSER")

OnProgress = Callable[[AnalyserRun], None]


@dataclass(frozen=True, slots=True)
class Roast:
    """What was found, in the order of places, and how each analyser fared."""

    findings: tuple[Finding, ...]
    runs: tuple[AnalyserRun, ...]

    @property
    def failures(self) -> tuple[AnalyserRun, ...]:
        """The analysers that could not say anything."""
        return tuple(run for run in self.runs if run.failure)


@dataclass(frozen=True, slots=True)
class _Job:
    """What all analysers of one roast share."""

    tree: SourceTree
    sandbox: Sandbox
    cache: ObservationCache | None
    only: frozenset[str] | None
    at_once: asyncio.Semaphore


async def roast(
    tree: SourceTree,
    sandbox: Sandbox,
    *,
    personas: Sequence[Persona] = (),
    cache: ObservationCache | None = None,
    paths: Collection[str] | None = None,
    known: Sequence[Finding] = (),
    on_progress: OnProgress | None = None,
) -> Roast:
    """Look at a tree with the analysers ``personas`` listen to (all there are, if none is given).

    Only files whose content is not in ``cache`` are looked at again. ``paths`` limits the findings to these files.
    ``known`` are findings of an earlier look: those still there keep their fingerprints. An analyser that fails is
    recorded in ``runs`` and the others go on.
    """
    names = {name for persona in personas for name in persona.analysers} or set(ANALYSERS.names())
    analysers, absent = _load(names)
    found = await _run_all(analysers, _job(tree, sandbox, cache, paths), known, on_progress)
    return Roast(found.findings, (*found.runs, *absent))


async def quick_check(
    tree: SourceTree,
    paths: Collection[str],
    sandbox: Sandbox,
    *,
    rules: Collection[str] = (),
    known: Sequence[Finding] = (),
    cache: ObservationCache | None = None,
) -> Roast:
    """Look again at files that were just changed; made to be quick enough to follow every change.

    Analysers that look at one file at a time always run; those that look at the whole tree only if ``rules`` names one
    of theirs. ``known`` are the findings of the look before; those of other files are ignored.
    """
    asked = {rule.split(":", 1)[0] for rule in rules}
    loaded, absent = _load(ANALYSERS.names())
    analysers = [each for each in loaded if each.reach is Reach.FILE or _prefix(each) in asked]
    before = [finding for finding in known if finding.place.path in paths]
    found = await _run_all(analysers, _job(tree, sandbox, cache, paths), before, None)
    return Roast(found.findings, (*found.runs, *absent))


def _load(names: Collection[str]) -> tuple[list[Analyser], list[AnalyserRun]]:
    """The analysers, and a failed run for each that is not there."""
    loaded: list[Analyser] = []
    absent: list[AnalyserRun] = []
    for name in sorted(names):
        try:
            loaded.append(ANALYSERS.load(name))
        except (NotFound, Missing) as error:
            absent.append(AnalyserRun(name, 0, 0, 0, 0.0, error.sentence))
    return loaded, absent


def _prefix(analyser: Analyser) -> str:
    """What its rules start with."""
    return analyser.name.replace("_", "-")


def _job(
    tree: SourceTree, sandbox: Sandbox, cache: ObservationCache | None, paths: Collection[str] | None
) -> _Job:
    only = None if paths is None else frozenset(paths)
    return _Job(tree, sandbox, cache, only, asyncio.Semaphore(os.cpu_count() or 1))


async def _run_all(
    analysers: Sequence[Analyser], job: _Job, known: Sequence[Finding], on_progress: OnProgress | None
) -> Roast:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run_one(analyser, job, on_progress)) for analyser in analysers]
    results = [task.result() for task in tasks]
    observations = [seen for _, all_seen in results for seen in all_seen]
    drafts = await asyncio.to_thread(merge, observations, job.tree)
    findings = identify(drafts, known)
    return Roast(tuple(findings), tuple(run for run, _ in results if run.files))


async def _run_one(
    analyser: Analyser, job: _Job, on_progress: OnProgress | None
) -> tuple[AnalyserRun, list[Observation]]:
    async with job.at_once:
        started = time.monotonic()
        wanted = [path for path in job.tree.files if _concerns(analyser, path, job.only)]
        run, seen = await _look(analyser, wanted, job, started)
    if on_progress is not None and run.files:
        on_progress(run)
    return run, seen


async def _look(
    analyser: Analyser, wanted: Sequence[str], job: _Job, started: float
) -> tuple[AnalyserRun, list[Observation]]:
    looked = _look_at_files if analyser.reach is Reach.FILE else _look_at_tree
    try:
        seen, cached = await looked(analyser, wanted, job) if wanted else ([], 0)
    except (BullpenError, OSError) as error:  # the tool failed, or a file cannot be read
        failure = str(error)
        return AnalyserRun(analyser.name, len(wanted), 0, 0, time.monotonic() - started, failure), []
    seen = [each for each in seen if job.only is None or each.place.path in job.only]
    return AnalyserRun(analyser.name, len(wanted), cached, len(seen), time.monotonic() - started), seen


def _concerns(analyser: Analyser, path: str, only: frozenset[str] | None) -> bool:
    within = only is None or analyser.reach is not Reach.FILE or path in only
    return within and analyser.wants(path)


async def _look_at_files(
    analyser: Analyser, wanted: Sequence[str], job: _Job
) -> tuple[list[Observation], int]:
    version = analyser.version()
    keys = {path: cache_key(analyser.name, version, [(path, job.tree.files[path])]) for path in wanted}
    entries = job.cache.get(list(keys.values())) if job.cache else {}
    stale = [path for path in wanted if keys[path] not in entries]
    fresh = await analyser.analyse(job.tree, stale, job.sandbox) if stale else []
    if job.cache and stale:
        job.cache.put(_by_key(fresh, {path: keys[path] for path in stale}))
    known = [each for path in wanted for each in entries.get(keys[path], ())]
    return known + fresh, len(wanted) - len(stale)


def _by_key(fresh: Sequence[Observation], keys: Mapping[str, str]) -> dict[str, list[Observation]]:
    entries: dict[str, list[Observation]] = {key: [] for key in keys.values()}
    for observation in fresh:
        entries[keys[observation.place.path]].append(observation)
    return entries


async def _look_at_tree(
    analyser: Analyser, wanted: Sequence[str], job: _Job
) -> tuple[list[Observation], int]:
    contents = [(path, job.tree.files[path]) for path in wanted]
    context = await asyncio.to_thread(_context, job.tree) if analyser.reach is Reach.KNOWN else ""
    key = cache_key(analyser.name, analyser.version(), contents, context)
    entries = job.cache.get([key]) if job.cache else {}
    if key in entries:
        return entries[key], len(wanted)
    fresh = await analyser.analyse(job.tree, wanted, job.sandbox)
    if job.cache:
        job.cache.put({key: fresh})
    return fresh, 0


def _context(tree: SourceTree) -> str:
    """What an analyser may depend on besides the files; see ``Reach.KNOWN``."""
    digest = hashlib.sha256()
    for line in (*_covered(tree), *_counted(tree), *_advised(tree.advisories)):
        digest.update(line.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()


def _covered(tree: SourceTree) -> Iterator[str]:
    for path, cover in sorted(tree.coverage.files.items()) if tree.coverage else ():
        yield f"{path}\0{sorted(cover.executed)}\0{sorted(cover.missing)}"


def _counted(tree: SourceTree) -> Iterator[str]:
    yield from (f"{path}\0{commits}" for path, commits in sorted(tree.churn.items()))
    yield from (f"{test}\0{seconds}" for test, seconds in sorted(tree.durations.items()))


def _advised(folder: Path | None) -> Iterator[str]:
    """A folder may hold a whole database, so its files count by size and time."""
    for file in sorted(folder.iterdir()) if folder and folder.is_dir() else ():
        about = file.stat()
        yield f"{file}\0{about.st_size}\0{about.st_mtime_ns}"
