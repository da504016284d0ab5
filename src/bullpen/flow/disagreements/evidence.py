"""What the code itself says of a dispute, where a vote cannot tell."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bullpen.domain.test_report import Coverage
from bullpen.flow.disagreements.base import EvidenceKind
from bullpen.flow.disagreements.extent import SourceText
from bullpen.flow.disagreements.find import Dispute, Held, ReadText


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known of the tree: texts, which file imports which, and which lines the tests ran, if they were measured."""

    read: ReadText
    imports: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    coverage: Coverage | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """The side that evidence speaks for, and what it is."""

    side: str
    words: str


def shown_by(dispute: Dispute, ground: Ground) -> Shown | None:
    """What evidence decides; None where there is none, or where it speaks for both sides."""
    spoken = [
        Shown(side, words)
        for kind, side in sorted(dispute.contradiction.evidence.items())
        if (words := _LOOKS[kind](dispute.sides[_claiming(dispute, kind)], dispute.path, ground))
    ]
    sides = {one.side for one in spoken}
    return Shown(sides.pop(), "; ".join(one.words for one in spoken)) if len(sides) == 1 else None


def _claiming(dispute: Dispute, kind: EvidenceKind) -> str:
    """The side whose code is looked at: the one that says nothing reaches it."""
    side = dispute.contradiction.evidence[kind]
    return side if kind is EvidenceKind.AFTER_A_JUMP else dispute.contradiction.other(side)


def _run_by_a_test(held: Sequence[Held], path: str, ground: Ground) -> str:
    known = ground.coverage.files.get(path) if ground.coverage else None
    if known is None:
        return ""
    # the first line of a definition runs when its module is loaded, which says nothing of its body
    lines = [line for one in held for line in range(one.lines[0], one.lines[1] + 1) if line > one.lines[0]]
    ran = next((line for line in lines if line in known.executed), 0)
    return f"a test runs {path}:{ran}" if ran else ""


def _used_elsewhere(held: Sequence[Held], path: str, ground: Ground) -> str:
    names = {name for one in held if (name := one.finding.place.symbol.rpartition(".")[2])}
    for importer in sorted(one for one, imported in ground.imports.items() if path in imported):
        words = set(re.findall(r"\w+", ground.read(importer)))
        if used := sorted(names & words):
            return f"{importer} imports it and names {used[0]}"
    return ""


def _after_a_jump(held: Sequence[Held], path: str, ground: Ground) -> str:
    source = SourceText(path, ground.read(path))
    line = next((one.lines[0] for one in held if source.follows_jump(one.lines[0])), 0)
    return f"the statement before {path}:{line} always leaves the block" if line else ""


_LOOKS: Mapping[EvidenceKind, Callable[[Sequence[Held], str, Ground], str]] = {
    EvidenceKind.RUN_BY_A_TEST: _run_by_a_test,
    EvidenceKind.USED_ELSEWHERE: _used_elsewhere,
    EvidenceKind.AFTER_A_JUMP: _after_a_jump,
}
