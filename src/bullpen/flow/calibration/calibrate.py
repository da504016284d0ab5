"""Calibrate: let the judge decide about labelled changes, on a real repository with real tests, and count."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.ids import SessionId
from bullpen.domain.verdict import GateResult, Ruling, Verdict
from bullpen.flow.calibration.court import Court
from bullpen.flow.calibration.labelled import Edit, LabelledChange, edited
from bullpen.flow.gates import DEFAULT_GATES, evaluate, parse_gates
from bullpen.flow.improve.assess import rule
from bullpen.flow.improve.case import Case
from bullpen.flow.improve.prove import prove
from bullpen.flow.items.generate import draft_items
from bullpen.vcs.commits import put_files
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

    @property
    def as_labelled(self) -> bool:
        """Whether the judge decided as somebody did."""
        return self.accepted == self.change.good

    @property
    def decided_by(self) -> GateResult | None:
        """The first gate that failed; None where none did."""
        return next((gate for gate in self.verdict.gates if not gate.passed), None)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Decisions about a labelled set."""

    judged: tuple[Judged, ...]

    @property
    def accuracy(self) -> float:
        """The share decided as labelled, 0 to 1."""
        return sum(one.as_labelled for one in self.judged) / max(len(self.judged), 1)

    @property
    def false_accepts(self) -> tuple[Judged, ...]:
        """Bad changes that would be kept."""
        return tuple(one for one in self.judged if one.accepted and not one.change.good)

    @property
    def false_refusals(self) -> tuple[Judged, ...]:
        """Good changes that would not."""
        return tuple(one for one in self.judged if not one.accepted and one.change.good)


OnJudged = Callable[[Judged], None]


def _nobody(_judged: Judged) -> None:
    pass


async def calibrate(
    court: Court, changes: Sequence[LabelledChange], on_judged: OnJudged = _nobody
) -> Calibration:
    """Decide about every change, one more at once than there are lanes for tests; ``on_judged`` is told of each."""
    at_once = asyncio.Semaphore(court.lanes + 1)

    async def decide(change: LabelledChange) -> Judged:
        async with at_once:
            judged = await judge(court, change)
        on_judged(judged)
        return judged

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(decide(change)) for change in changes]
    return Calibration(tuple(task.result() for task in tasks))


async def judge(court: Court, change: LabelledChange) -> Judged:
    """Prove one change and hold it against the built-in gates; no agent has a say."""
    findings = court.findings[change.name]
    (draft, *_more) = draft_items(SESSION, findings, lambda _rule, _fix: None)
    files = edited(court.files, change.edit)
    tree = await _with_modes(court.mirror, await put_files(court.mirror, court.tip, files), change.edit)
    case = Case(draft, court.tip, tree, court.mirror, court.baseline, known=findings, approved=False)
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
