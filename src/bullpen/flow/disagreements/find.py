"""Which findings are at odds with each other, and where."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bullpen.analysis.where import Role, role_of
from bullpen.domain.finding import Finding
from bullpen.flow.disagreements.base import Contradiction
from bullpen.flow.disagreements.extent import Lines, SourceText, meet, names_in

ReadText = Callable[[str], str]  # the text of a file by its path


@dataclass(frozen=True, slots=True)
class Held:
    """A finding on its side, and the lines it speaks of."""

    finding: Finding
    lines: Lines


@dataclass(frozen=True, slots=True)
class Dispute:
    """Findings at one place that cannot all be followed. ``sides`` are in the order of the contradiction's."""

    contradiction: Contradiction
    path: str
    line: int
    sides: Mapping[str, tuple[Held, ...]]

    @property
    def subject(self) -> str:
        """What it is about, in few words; no two disputes of a session have the same."""
        return f"{self.contradiction.name} at {self.path}:{self.line}"

    def findings(self, side: str) -> tuple[Finding, ...]:
        """What a side holds up."""
        return tuple(one.finding for one in self.sides[side])

    @property
    def everything(self) -> tuple[Finding, ...]:
        """The findings of both sides."""
        return tuple(one.finding for held in self.sides.values() for one in held)


def find_disputes(
    findings: Iterable[Finding], contradictions: Sequence[Contradiction], read: ReadText
) -> list[Dispute]:
    """All disputes, the worst first. A file is read only if rules that can be at odds were found in it.

    The same findings, in whatever order, give the same disputes.
    """
    by_path: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_path[finding.place.path].append(finding)
    found = [
        dispute
        for path, mine in sorted(by_path.items())
        for dispute in _in_file(path, sorted(mine, key=_place), contradictions, read)
    ]
    return sorted(found, key=lambda one: (-max(each.severity for each in one.everything), one.path, one.line))


def may_disagree(findings: Iterable[Finding], contradictions: Sequence[Contradiction]) -> bool:
    """Whether any file has findings of both sides of a contradiction: whether it is worth to look closer."""
    by_path: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_path[finding.place.path].append(finding)
    return any(all(_by_side(mine, one).values()) for mine in by_path.values() for one in contradictions)


def _place(finding: Finding) -> tuple[int, int, str, str]:
    return finding.place.line, finding.place.column, finding.rule, finding.fingerprint


def _in_file(
    path: str, findings: Sequence[Finding], contradictions: Sequence[Contradiction], read: ReadText
) -> Iterator[Dispute]:
    source: SourceText | None = None
    for contradiction in contradictions:
        if contradiction.in_tests and role_of(path) is not Role.TEST:
            continue
        sides = _by_side(findings, contradiction)
        if all(sides.values()):
            source = source or SourceText(path, read(path))
            held = {
                name: [Held(one, source.reach(one, contradiction.sides[name].extent)) for one in mine]
                for name, mine in sides.items()
            }
            yield from _disputes(path, contradiction, held)


def _by_side(findings: Sequence[Finding], contradiction: Contradiction) -> dict[str, list[Finding]]:
    """A finding that both sides could hold is on none: it does not tell them apart."""
    sides: dict[str, list[Finding]] = {name: [] for name in contradiction.sides}
    (one, first), (other, second) = contradiction.sides.items()
    for finding in findings:
        by_one, by_other = first.holds(finding), second.holds(finding)
        if by_one != by_other:
            sides[one if by_one else other].append(finding)
    return sides


def _disputes(
    path: str, contradiction: Contradiction, held: Mapping[str, Sequence[Held]]
) -> Iterator[Dispute]:
    """Connected findings make one dispute: whoever meets two of the other side is at odds with both at once."""
    one, other = contradiction.sides
    left = list(held[one])
    while left:
        mine, theirs = [left.pop(0)], list[Held]()
        grew = True
        while grew:
            more = [each for each in held[other] if each not in theirs and _met(each, mine, contradiction)]
            theirs += more
            back = [each for each in left if _met(each, theirs, contradiction)]
            mine += back
            left = [each for each in left if each not in back]
            grew = bool(more or back)
        if theirs:
            line = min(each.finding.place.line for each in (*mine, *theirs))
            yield Dispute(contradiction, path, line, {one: tuple(mine), other: tuple(theirs)})


def _met(one: Held, others: Sequence[Held], contradiction: Contradiction) -> bool:
    return any(meet(one.lines, other.lines) and _one_name(one, other, contradiction) for other in others)


def _one_name(one: Held, other: Held, contradiction: Contradiction) -> bool:
    if not contradiction.same_name:
        return True
    return bool(names_in(one.finding.message) & names_in(other.finding.message))
