"""Roast a repository and leave it at that: no tests are run, nothing is changed, no session is kept."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bullpen.analysis.base import AnalyserRun, Persona
from bullpen.analysis.baseline import baseline_states, read_baseline
from bullpen.analysis.persona_cards import load_personas, speak
from bullpen.analysis.roast import roast
from bullpen.analysis.sarif import BaselineState, to_sarif
from bullpen.domain.finding import Finding
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.open import source_tree
from bullpen.flow.improve.options import ImproveOptions
from bullpen.flow.improve.surroundings import with_surroundings
from bullpen.vcs.mirror import fetch_mirror
from bullpen.vcs.source import open_source
from bullpen.vcs.worktrees import prune_worktrees, take_worktree


@dataclass(frozen=True, slots=True)
class Said:
    """A finding in its persona's words."""

    persona: str
    title: str
    finding: Finding
    words: str


@dataclass(frozen=True, slots=True)
class Roasted:
    """What the analysers found in a commit, the worst first; with a baseline, only what is new since."""

    name: str
    commit: str
    files: int
    uncommitted: int
    said: tuple[Said, ...]
    known: int
    failures: tuple[str, ...]
    sarif: bytes
    seen: int  # all findings, also those that were not asked for


async def roast_repository(
    means: Means,
    options: ImproveOptions,
    version: str,
    on_progress: Callable[[AnalyserRun], None] | None = None,
) -> Roasted:
    """Look at the commit the repository is at. ``options`` give its place, ``only`` and the baseline's path.

    Raises:
        UnusableRepository: with the reason and what to do.
        InvalidInput: the baseline cannot be read.
    """
    source = await open_source(options.source)
    mirror = await fetch_mirror(source, means.mirrors)
    with tempfile.TemporaryDirectory(prefix="bullpen-roast-") as place:
        folder = Path(place)
        worktree = await take_worktree(mirror.path, folder, "roast", mirror.base)
        try:
            tree = await source_tree(mirror.path, mirror.base, worktree.path, means.settings.file_bytes)
            tree = await with_surroundings(means, tree, mirror.path, mirror.base)
            result = await roast(tree, means.sandbox, cache=means.cache, on_progress=on_progress)
        finally:
            await prune_worktrees(mirror.path, folder, ())
    wanted = [found for found in result.findings if options.wants(found)]
    states = _states(options.baseline, wanted)
    personas = load_personas()
    fresh = [found for found in wanted if states.get(found.fingerprint) != "unchanged"]
    failures = tuple(f"{run.analyser}: {run.failure}" for run in result.failures)
    return Roasted(
        name=source.name,
        commit=mirror.base,
        files=len(tree.files),
        uncommitted=source.dirty,
        said=tuple(_said(personas, found) for found in sorted(fresh, key=_worst_first)),
        known=len(wanted) - len(fresh),
        failures=failures,
        sarif=to_sarif(wanted, version, states=states or None, failures=failures),
        seen=len(result.findings),
    )


def _states(baseline: str, findings: list[Finding]) -> dict[str, BaselineState]:
    if not baseline:
        return {}
    return baseline_states(read_baseline(Path(baseline).read_bytes()), findings)


def _worst_first(found: Finding) -> tuple[int, str, int, str]:
    return (-found.severity, found.place.path, found.place.line, found.rule)


def _said(personas: tuple[Persona, ...], found: Finding) -> Said:
    persona = next((one for one in personas if one.concern == found.concern), None)
    if persona is None:  # a concern nobody speaks for: the analyser's own words
        return Said(found.concern.value, found.concern.value, found, found.message)
    return Said(persona.name, persona.title, found, speak(persona, found))
