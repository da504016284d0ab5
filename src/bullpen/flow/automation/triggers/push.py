"""When commits are pushed to a branch: found by looking at the repository's refs, or told by a door."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field

from bullpen.domain.errors import BullpenError
from bullpen.flow.automation.triggers.base import (
    Glob,
    Look,
    TriggerKind,
    Watch,
    Word,
    any_matches,
    path_matches,
)
from bullpen.flow.definitions.model import Duration, Strict
from bullpen.vcs.git import git
from bullpen.vcs.mirror import fetch_mirror
from bullpen.vcs.refs import EMPTY_TREE, changed_paths, list_branches
from bullpen.vcs.source import open_source

MOST_BRANCHES = 5_000
MOST_PATHS = 1_000  # of those that changed, how many are told to a job


class PushOptions(Strict):
    """``branches`` and ``paths`` are patterns; none means any. ``every`` is how often the refs are looked at."""

    branches: tuple[Glob, ...] = ()
    paths: tuple[Glob, ...] = ()
    every: Duration = 60.0


class PushPayload(Strict):
    """A branch that moved. ``before`` is empty for a new one. ``turn`` tells two moves to the same commit apart."""

    branch: Word
    before: Annotated[str, Field(pattern=r"^([0-9a-f]{40,64})?$")] = ""
    after: Annotated[str, Field(pattern=r"^[0-9a-f]{40,64}$")]
    paths: Annotated[tuple[str, ...], Field(max_length=MOST_PATHS)] = ()
    turn: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, slots=True)
class _Memory:
    """The branches as they were at the last look, when that was, and how many moves were seen."""

    branches: Mapping[str, str]
    looked: float
    turn: int

    @classmethod
    def read(cls, text: str) -> "_Memory":
        kept = cast("dict[str, Any]", json.loads(text))
        return cls(kept["branches"], kept["looked"], kept["turn"])

    def text(self) -> str:
        return json.dumps({"branches": dict(self.branches), "looked": self.looked, "turn": self.turn})


async def _look(watch: Watch, options: PushOptions, memory: str) -> Look[PushPayload]:
    """Branches that moved since the last look; the first one only remembers where they are."""
    known = _Memory.read(memory) if memory else None
    if known is not None and not watch.at_once and 0 <= watch.at - known.looked < options.every:
        return Look(memory)
    there = await list_branches(watch.repo, most=MOST_BRANCHES)
    meant = {name: commit for name, commit in there.items() if any_matches(options.branches, name)}
    if known is None:
        return Look(_Memory(meant, watch.at, 0).text())
    moved = [name for name in sorted(meant) if known.branches.get(name) != meant[name]]
    found = [
        PushPayload(
            branch=_text(name),
            before=known.branches.get(name, ""),
            after=meant[name],
            turn=known.turn + number,
        )
        for number, name in enumerate(moved, 1)
    ]
    wanted, note = await _with_paths(watch, options, found)
    return Look(_Memory(meant, watch.at, known.turn + len(moved)).text(), tuple(wanted), note)


async def _with_paths(
    watch: Watch, options: PushOptions, found: Sequence[PushPayload]
) -> tuple[list[PushPayload], str]:
    """Those that touch what the file names. Where it cannot be told what a push touched, it counts."""
    if not found or not options.paths:
        return list(found), ""
    mirror = (await fetch_mirror(await open_source(watch.repo), watch.mirrors)).path
    wanted, notes = list[PushPayload](), list[str]()
    for one in found:
        try:
            before = one.before or await _branched_off(mirror, one.after)
            paths = await changed_paths(mirror, before, one.after)
        except BullpenError as error:
            notes.append(f"what {one.branch} changed cannot be told: {error.sentence}")
            wanted.append(one)
            continue
        if any(path_matches(pattern, path) for pattern in options.paths for path in paths):
            wanted.append(one.model_copy(update={"paths": tuple(map(_text, paths[:MOST_PATHS]))}))
    return wanted, "; ".join(notes)


def _text(name: str) -> str:
    """A name that is not UTF-8 is shown with escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


async def _branched_off(mirror: Path, commit: str) -> str:
    """Where a new branch left the one that is checked out; the empty tree if it never was on it."""
    base = await git(mirror, "merge-base", "refs/bullpen/source-head", commit, accept=(0, 1, 128))
    return base.text if base.status == 0 and base.text and base.text != commit else EMPTY_TREE


def _objection(options: PushOptions, payload: PushPayload) -> str:
    if not any_matches(options.branches, payload.branch):
        return f"the branch {payload.branch!r} is not meant"
    touched = any(path_matches(pattern, path) for pattern in options.paths for path in payload.paths)
    return "" if touched or not options.paths or not payload.paths else "no path that is meant was changed"


def _key(payload: PushPayload) -> str:
    return f"{payload.branch}:{payload.before}..{payload.after}:{payload.turn}"


def _says(payload: PushPayload) -> str:
    return f"{payload.branch} moved to {payload.after[:12]}"


TRIGGER = TriggerKind(PushOptions, PushPayload, _objection, _key, _says, _look)
