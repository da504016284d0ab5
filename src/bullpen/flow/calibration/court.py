"""The court: the project of a labelled set as a repository, with all that judging its changes has in common."""

import asyncio
import os
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bullpen.analysis.cache import ObservationCache
from bullpen.analysis.roast import quick_check
from bullpen.domain.actor import local_person
from bullpen.domain.errors import InvalidInput
from bullpen.domain.finding import Finding
from bullpen.domain.test_report import TestReport
from bullpen.flow.calibration.labelled import LabelledChange, LabelledSet, Project, edited
from bullpen.flow.calibration.warm import warm_pytest
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.open import source_tree
from bullpen.flow.improve.project_tests import ProjectTests
from bullpen.flow.improve.prove import tip_worktree
from bullpen.flow.improve.timed_sandbox import TimedSandbox
from bullpen.kernel.bus.log import EventLog
from bullpen.kernel.settings import Settings
from bullpen.kernel.storage.database import Database, Store, open_store
from bullpen.recipes.base import catalogue
from bullpen.sandbox.base import Sandbox
from bullpen.sandbox.choose import choose_sandbox
from bullpen.testing.base import Environment
from bullpen.testing.environment import own_environment
from bullpen.vcs.commits import BULLPEN, commit_tree, put_files
from bullpen.vcs.git import git

MOST_LANES = 8
NEEDED = "xdist.plugin"  # the runner's own options speak of it


@dataclass(frozen=True, slots=True)
class Court:
    """A project, how its tests are before any change, and what the changes are about: findings by name of the change.

    ``lanes`` is how many runs of tests go side by side.
    """

    means: Means
    folder: Path
    mirror: Path
    tip: str
    files: Mapping[str, bytes]
    tests: ProjectTests
    baseline: TestReport
    findings: Mapping[str, tuple[Finding, ...]]
    lanes: int


@asynccontextmanager
async def open_court(
    settings: Settings, labelled: LabelledSet, *, warm: bool = False
) -> AsyncGenerator[Court]:
    """Commit the project to a repository of its own below the settings' home, run its tests once, and look at it once.

    ``warm`` keeps pytest imported between runs; see ``warm_pytest``.

    Raises:
        InvalidInput: an edit does not fit the project, its tests fail, or a fault a change is about is not there.
        Missing: no sandbox works here.
    """
    for change in labelled.changes:
        require_fit(labelled.project, change)
    sandbox, _probe = await choose_sandbox()
    store = await open_store(settings.database)
    trees, records = settings.home / "worktrees", settings.home / "records"
    try:
        if not warm:
            yield await _opened(settings, store, sandbox, labelled)
        else:
            async with warm_pytest(sandbox, trees, records) as kept:
                yield await _opened(settings, store, kept, labelled)
    finally:
        await store.close()


def require_fit(project: Project, change: LabelledChange) -> None:
    """See that a change can be made to the project, and changes it.

    Raises:
        InvalidInput: it cannot, or does not.
    """
    try:
        changed = edited(project.files, change.edit)
    except InvalidInput as error:
        raise InvalidInput(f"{change.name}: {error.sentence}", remedy=error.remedy) from error
    same = all(project.files.get(path) == content for path, content in changed.items())
    if same and not any(edit.mode for edit in change.edit):
        raise InvalidInput(f"{change.name}: it changes nothing.", remedy="Give it an edit that does.")


async def _opened(settings: Settings, store: Store, sandbox: Sandbox, labelled: LabelledSet) -> Court:
    lanes = min(max(os.cpu_count() or 1, 2), MOST_LANES)
    means = _bare_means(settings, store, sandbox, lanes)
    mirror, folder = settings.home / "calibration.git", settings.home / "worktrees"
    await asyncio.to_thread(folder.mkdir, parents=True)
    tip = await _first_commit(mirror, labelled.project.files)
    environment = lean_environment(own_environment(), labelled.project.plugins)
    cache = settings.home / "cache" / "tests"
    tests = ProjectTests(mirror, folder, cache, environment, means.sandbox, means.test_limits(), means.lanes)
    baseline = await tests.run(tip, coverage=True)
    _require_sound(baseline)
    findings = await _look(means, mirror, folder, tip, labelled.changes, baseline)
    return Court(means, folder, mirror, tip, labelled.project.files, tests, baseline, findings, lanes)


def _bare_means(settings: Settings, store: Store, sandbox: Sandbox, lanes: int) -> Means:
    """What proving needs, without agents: every recipe, and a cache below the settings' home."""
    cache = ObservationCache(settings.home / "cache" / "observations")
    database = Database(store, EventLog())
    at_once = asyncio.Semaphore(lanes)
    return Means(settings, database, local_person(), TimedSandbox(sandbox), at_once, catalogue(), cache)


def lean_environment(environment: Environment, plugins: Collection[str]) -> Environment:
    """The same, where pytest loads ``plugins`` and what the runner needs, and no other that happens to be installed.

    Loading them takes half of the time a small suite takes.
    """
    named = ",".join(sorted({NEEDED, *plugins}))
    lean = (("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"), ("PYTEST_PLUGINS", named))
    return replace(environment, variables=(*environment.variables, *lean))


async def _first_commit(mirror: Path, files: Mapping[str, bytes]) -> str:
    await git(mirror, "init", "--quiet", "--bare", "--template=", str(mirror))
    empty = (await git(mirror, "mktree")).text
    return await commit_tree(mirror, await put_files(mirror, empty, files), [], "project", BULLPEN, 0)


def _require_sound(baseline: TestReport) -> None:
    if baseline.passed() and not baseline.failed():
        return
    failed = ", ".join(sorted(baseline.failed())[:3]) or f"none ran ({baseline.end})"
    raise InvalidInput(
        f"The project's own tests do not pass before any change: {failed}.",
        remedy="Mend the project of the set; name the pytest plugins its tests need in `plugins`.",
    )


async def _look(
    means: Means,
    mirror: Path,
    folder: Path,
    tip: str,
    changes: Sequence[LabelledChange],
    baseline: TestReport,
) -> Mapping[str, tuple[Finding, ...]]:
    """The findings each change is about, from one look at the whole project."""
    worktree = await tip_worktree(mirror, folder, tip)
    limit = means.settings.file_bytes
    tree = await source_tree(mirror, tip, worktree.path, limit, baseline.coverage)
    paths = sorted({change.path for change in changes} & set(tree.files))
    rules = sorted({change.rule for change in changes})
    found = await quick_check(tree, paths, means.sandbox, rules=rules, cache=means.cache)
    return {change.name: _about(change, found.findings) for change in changes}


def _about(change: LabelledChange, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    of_rule = [one for one in findings if one.rule == change.rule and one.place.path == change.path]
    mine = tuple(one for one in of_rule if change.line in (0, one.place.line))
    if mine:
        return mine
    lines = ", ".join(str(one.place.line) for one in of_rule)
    raise InvalidInput(
        f"{change.name}: there is no {change.rule} at {change.path}:{change.line}.",
        remedy=f"It is at line {lines} there."
        if lines
        else "`bullpen roast` lists what is found in a project.",
    )
