"""Calibrate: let the judge decide about labelled changes, on a real repository with real tests, and count."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bullpen.analysis.cache import ObservationCache
from bullpen.domain.actor import local_person
from bullpen.domain.errors import InvalidInput
from bullpen.domain.finding import Finding
from bullpen.domain.ids import SessionId
from bullpen.domain.test_report import TestReport
from bullpen.domain.verdict import Ruling, Verdict
from bullpen.domain.work_item import ItemDraft
from bullpen.flow.calibration.labelled import Edit, LabelledChange, edited
from bullpen.flow.gates import DEFAULT_GATES, evaluate, parse_gates
from bullpen.flow.improve.assess import rule
from bullpen.flow.improve.case import Case
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.project_tests import ProjectTests
from bullpen.flow.improve.prove import look_at, prove, tip_worktree
from bullpen.flow.improve.timed_sandbox import TimedSandbox
from bullpen.flow.items.generate import draft_items
from bullpen.kernel.bus.log import EventLog
from bullpen.kernel.settings import Settings
from bullpen.kernel.storage.database import Database, Store
from bullpen.recipes.base import catalogue
from bullpen.sandbox.base import Sandbox
from bullpen.testing.environment import own_environment
from bullpen.vcs.commits import BULLPEN, commit_tree, put_files
from bullpen.vcs.folders import private_index
from bullpen.vcs.git import git

SESSION = SessionId("ses-calibration")


@dataclass(frozen=True, slots=True)
class Judged:
    """A labelled change, and what was decided about it."""

    change: LabelledChange
    verdict: Verdict

    @property
    def accepted(self) -> bool:
        """Whether it would be kept."""
        return self.verdict.ruling is Ruling.ACCEPT


@dataclass(frozen=True, slots=True)
class Calibration:
    """Decisions about a labelled set."""

    judged: tuple[Judged, ...]

    @property
    def accuracy(self) -> float:
        """The share decided as labelled, 0 to 1."""
        return sum(one.accepted == one.change.good for one in self.judged) / max(len(self.judged), 1)

    @property
    def false_accepts(self) -> tuple[Judged, ...]:
        """Bad changes that would be kept."""
        return tuple(one for one in self.judged if one.accepted and not one.change.good)

    @property
    def false_refusals(self) -> tuple[Judged, ...]:
        """Good changes that would not."""
        return tuple(one for one in self.judged if not one.accepted and one.change.good)


@dataclass(frozen=True, slots=True)
class Court:
    """The project all changes are made to, as a repository, with how its tests are before."""

    means: Means
    folder: Path
    mirror: Path
    tip: str
    files: Mapping[str, bytes]
    tests: ProjectTests
    baseline: TestReport


def bare_means(settings: Settings, store: Store, sandbox: Sandbox) -> Means:
    """What proving needs, without agents: two lanes, every recipe, and a cache below the settings' home."""
    database = Database(store, EventLog())
    cache = ObservationCache(settings.home / "cache" / "observations")
    lanes = asyncio.Semaphore(2)
    return Means(settings, database, local_person(), TimedSandbox(sandbox), lanes, catalogue(), cache)


async def open_court(means: Means, files: Mapping[str, bytes]) -> Court:
    """Commit the project to a repository of its own, and run its tests."""
    home = means.settings.home
    mirror, folder = home / "calibration.git", home / "worktrees"
    await asyncio.to_thread(folder.mkdir, parents=True)
    await git(mirror, "init", "--quiet", "--bare", "--template=", str(mirror))
    empty = (await git(mirror, "mktree")).text
    tip = await commit_tree(mirror, await put_files(mirror, empty, files), [], "project", BULLPEN, 0)
    limits, environment = means.test_limits(), own_environment()
    cache = home / "cache" / "tests"
    tests = ProjectTests(mirror, folder, cache, environment, means.sandbox, limits, means.lanes)
    baseline = await tests.run(tip, coverage=True)
    return Court(means, folder, mirror, tip, files, tests, baseline)


async def calibrate(court: Court, changes: Sequence[LabelledChange]) -> Calibration:
    """Decide about every change, as many at once as there are lanes."""
    at_once = asyncio.Semaphore(2)

    async def decide(change: LabelledChange) -> Judged:
        async with at_once:
            return await judge(court, change)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(decide(change)) for change in changes]
    return Calibration(tuple(task.result() for task in tasks))


async def judge(court: Court, change: LabelledChange) -> Judged:
    """Prove one change and hold it against the built-in gates; no agent has a say.

    Raises:
        InvalidInput: the fault the change is about is not found in the project.
    """
    draft, findings = await _item(court, change)
    tree = await _with_modes(
        court.mirror, await put_files(court.mirror, court.tip, edited(court.files, change.edit)), change.edit
    )
    known = tuple(findings)
    case = Case(draft, court.tip, tree, court.mirror, court.baseline, known=known, approved=False)
    proof = await prove(court.means, court.folder, case, court.tests)
    results = evaluate(parse_gates(DEFAULT_GATES), proof.measured, proof.notes)
    return Judged(change, rule(results, proof.scores, {}))


async def _with_modes(mirror: Path, tree: str, edits: Sequence[Edit]) -> str:
    modes = {edit.moved or edit.path: f"100{edit.mode}" for edit in edits if edit.mode}
    if not modes:
        return tree
    async with private_index(mirror) as place:
        await git(place, "read-tree", tree)
        listed = (await git(place, "ls-files", "--stage", "-z", "--", *modes)).fields()
        blobs = {path: entry.split()[1] for entry, _, path in (line.partition("\t") for line in listed)}
        lines = "".join(f"{mode} {blobs[path]}\t{path}\0" for path, mode in modes.items())
        await git(place, "update-index", "-z", "--index-info", stdin=lines.encode("utf-8", "surrogateescape"))
        return (await git(place, "write-tree")).text


async def _item(court: Court, change: LabelledChange) -> tuple[ItemDraft, list[Finding]]:
    tip = await tip_worktree(court.mirror, court.folder, court.tip)
    coverage = court.baseline.coverage if change.rule.startswith("test-gaps:") else None
    looked = await look_at(court.means, tip, court.tip, [change.path], change.rule, (), coverage)
    rules = [one for one in looked.findings if one.rule == change.rule]
    findings = [one for one in rules if change.line in (0, one.place.line)]
    if not findings:
        raise InvalidInput(f"{change.name}: there is no {change.rule} at {change.path}:{change.line}.")
    (draft, *_more) = draft_items(SESSION, findings, lambda _rule, _fix: None)
    return draft, findings
