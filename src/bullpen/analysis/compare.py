"""Which findings are gone, kept and new between two looks at a tree.

One key cannot serve (a path changes with a rename, a text with an edit), so findings are matched one to one in rounds,
from the most certain key to the least.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from heapq import nsmallest
from pathlib import PurePosixPath

from bullpen.analysis.normal_form import normal_form
from bullpen.analysis.rule_classes import rule_classes
from bullpen.domain.finding import Finding

_ALIKE_HERE = 0.5  # share of equal text that makes an edited statement of the same symbol the same
_NEIGHBOURS = 16  # how many of the nearest are worth a comparison of texts
_SAME_PLACE = 3  # lines; a statement that was written anew says the same fault about here
_LARGEST_ALIGNMENT = 20_000  # pairs; above it equal faults are paired from the top
_ALIKE_ELSEWHERE = 0.75  # the same, where the symbol was renamed as well


@dataclass(frozen=True, slots=True)
class Comparison:
    """Findings by what became of them; ``kept`` holds each as it was before and as it is after."""

    gone: tuple[Finding, ...]
    kept: tuple[tuple[Finding, Finding], ...]
    new: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Trait:
    """What the rounds compare."""

    fingerprint: str
    rule: str
    path: str
    name: str
    symbol: str
    text: str
    message: str
    line: int


_Key = Callable[[_Trait], Hashable | None]


def compare(
    before: Sequence[Finding], after: Sequence[Finding], renames: Mapping[str, str] | None = None
) -> Comparison:
    """Match one to one. ``renames`` maps old paths to new ones where they are known (from git); it is not needed."""
    pairs, gone, new = compare_positions(before, after, renames)
    return Comparison(
        tuple(before[position] for position in gone),
        tuple((before[old], after[young]) for old, young in pairs),
        tuple(after[position] for position in new),
    )


def compare_positions(
    before: Sequence[Finding], after: Sequence[Finding], renames: Mapping[str, str] | None = None
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """The same as positions: matched pairs, positions in ``before`` that are gone, positions in ``after`` that are new."""
    shared = rule_classes((each.rule, each.same_as) for each in (*before, *after))
    renamed = renames or {}
    old = [_trait(finding, shared, renamed) for finding in before]
    young = [_trait(finding, shared, {}) for finding in after]
    match = _Match(old, young)
    for key in _EXACT_ROUNDS:
        match.by_key(key)
    match.by_likeness(lambda trait: (trait.path, trait.rule, trait.symbol), _ALIKE_HERE)
    match.by_likeness(lambda trait: (trait.path, trait.rule), _ALIKE_ELSEWHERE)
    match.by_place(lambda trait: (trait.path, trait.rule, trait.symbol, trait.message))
    return sorted(match.pairs), sorted(match.old_left), sorted(match.young_left)


def _fingerprint(trait: _Trait) -> Hashable | None:
    return (trait.fingerprint, trait.rule) if trait.fingerprint else None


_EXACT_ROUNDS: tuple[_Key, ...] = (
    lambda trait: (trait.path, trait.rule, trait.symbol, trait.text),
    lambda trait: (trait.path, trait.rule, trait.text),
    _fingerprint,
    lambda trait: (trait.name, trait.rule, trait.symbol, trait.text),
    lambda trait: (trait.rule, trait.symbol, trait.text),
)


class _Match:
    """Pairs made so far, and what is left on both sides."""

    def __init__(self, old: Sequence[_Trait], young: Sequence[_Trait]) -> None:
        self.old = old
        self.young = young
        self.old_left = set(range(len(old)))
        self.young_left = set(range(len(young)))
        self.pairs: list[tuple[int, int]] = []

    def by_key(self, key: _Key) -> None:
        """Pair those with equal keys; among several equal ones, in order, and so that lines move least."""
        for olds, youngs in self._groups(key):
            for old, young in _align(olds, youngs, self._line_distance):
                self._pair(old, young)

    def by_likeness(self, key: _Key, at_least: float) -> None:
        """Pair those with equal keys and similar text, the most similar first."""
        for olds, youngs in self._groups(key):
            scored = (
                (self._likeness(old, young), -self._line_distance(old, young), old, young)
                for old in olds
                for young in self._nearest(old, youngs)
            )
            for score, _, old, young in sorted(scored, reverse=True):
                if score >= at_least and old in self.old_left and young in self.young_left:
                    self._pair(old, young)

    def by_place(self, key: _Key) -> None:
        """Pair those with equal keys that are within a few lines of each other."""
        for olds, youngs in self._groups(key):
            for old, young in _align(olds, youngs, self._line_distance):
                if self._line_distance(old, young) <= _SAME_PLACE:
                    self._pair(old, young)

    def _nearest(self, old: int, youngs: Sequence[int]) -> list[int]:
        return nsmallest(_NEIGHBOURS, youngs, key=lambda young: self._line_distance(old, young))

    def _pair(self, old: int, young: int) -> None:
        self.pairs.append((old, young))
        self.old_left.discard(old)
        self.young_left.discard(young)

    def _groups(self, key: _Key) -> list[tuple[list[int], list[int]]]:
        olds, youngs = _group(self.old, self.old_left, key), _group(self.young, self.young_left, key)
        return [(olds[value], youngs[value]) for value in olds if value in youngs]

    def _line_distance(self, old: int, young: int) -> int:
        return abs(self.old[old].line - self.young[young].line)

    def _likeness(self, old: int, young: int) -> float:
        one, other = self.old[old], self.young[young]
        if not one.text or not other.text:
            return float(one.message == other.message)
        return SequenceMatcher(None, one.text.split(), other.text.split(), autojunk=False).ratio()


def _group(traits: Sequence[_Trait], left: Iterable[int], key: _Key) -> dict[Hashable, list[int]]:
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for position in sorted(left, key=lambda each: (traits[each].path, traits[each].line, each)):
        value = key(traits[position])
        if value is not None:
            groups[value].append(position)
    return groups


def _align(
    olds: Sequence[int], youngs: Sequence[int], distance: Callable[[int, int], int]
) -> list[tuple[int, int]]:
    """Pair as many as there can be, keeping the order, so that the sum of distances is least."""
    if len(olds) == len(youngs) or len(olds) * len(youngs) > _LARGEST_ALIGNMENT:
        return list(zip(olds, youngs, strict=False))
    if len(olds) > len(youngs):
        turned = _align(youngs, olds, lambda young, old: distance(old, young))
        return [(old, young) for young, old in turned]
    return _align_fewer(olds, youngs, distance)


def _align_fewer(
    few: Sequence[int], many: Sequence[int], distance: Callable[[int, int], int]
) -> list[tuple[int, int]]:
    spare = len(many) - len(few)
    # best[skipped]: least cost of the pairs so far, having skipped that many of ``many``, and the pairs themselves
    best: list[tuple[int, tuple[int, ...]]] = [(0, ())] * (spare + 1)
    for position, one in enumerate(few):
        row: list[tuple[int, tuple[int, ...]]] = []
        for skipped in range(spare + 1):
            other = many[position + skipped]
            cost, chosen = best[skipped]
            here = (cost + distance(one, other), (*chosen, other))
            row.append(min(here, row[-1]) if row else here)
        best = row
    return list(zip(few, best[-1][1], strict=True))


def _trait(finding: Finding, shared: Mapping[str, str], renames: Mapping[str, str]) -> _Trait:
    path = renames.get(finding.place.path, finding.place.path)
    return _Trait(
        finding.fingerprint,
        shared[finding.rule],
        path,
        PurePosixPath(path).name,
        finding.place.symbol,
        normal_form(finding.snippet, path),
        finding.message,
        finding.place.line,
    )
