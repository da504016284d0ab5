"""Which plan shapes, agents, models and recipes succeed for which kind of item (LRN-01)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bullpen.insights.intervals import Share, chance_of_equal, discoveries, wilson
from bullpen.insights.runs import Factor, FinishedRun

LEAST_RUNS = 8


@dataclass(frozen=True, slots=True)
class Pattern:
    """For items of ``kind``, runs with ``value`` of ``factor`` went better (or worse) than all others of the kind.

    ``chance`` is the probability of so large a difference if there were none.
    """

    kind: str
    factor: Factor
    value: str
    share: Share
    others: Share
    chance: float

    @property
    def better(self) -> bool:
        """Whether it is worth having."""
        return self.share.rate > self.others.rate

    @property
    def sentence(self) -> str:
        """``security items: recipe 'timeouts' succeeds in 20 of 20 (…); all else in 5 of 20 (…).``"""
        verb = "succeeds" if self.better else "succeeds only"
        return f"{self.kind} items: {self.factor} {self.value!r} {verb} in {self.share}; all else in {self.others}."


def find_patterns(
    runs: Iterable[FinishedRun], least: int = LEAST_RUNS, flukes: float = 0.05
) -> list[Pattern]:
    """Patterns that stand out, the surest first.

    Only where both the value and the rest of its kind have ``least`` runs. Many are tested at once, so it is the share
    of flukes among those reported that is held at ``flukes``, not the chance of each. Correlation, not cause: agents
    that get the hard items look worse, so compare within a kind, as here, and try before trusting.
    """
    candidates = [one for kind in _by_kind(runs) for one in _candidates(kind, least)]
    kept = discoveries([one.chance for one in candidates], flukes)
    found = [one for one, stands in zip(candidates, kept, strict=True) if stands]
    return sorted(found, key=lambda one: (one.chance, one.kind, one.factor, one.value))


def _by_kind(runs: Iterable[FinishedRun]) -> list[list[FinishedRun]]:
    found: dict[str, list[FinishedRun]] = {}
    for run in runs:
        found.setdefault(run.kind, []).append(run)
    return [found[kind] for kind in sorted(found)]


def _candidates(runs: Sequence[FinishedRun], least: int) -> Iterable[Pattern]:
    won = sum(run.succeeded for run in runs)
    for factor in Factor:
        counts: dict[str, tuple[int, int]] = {}
        for run in runs:
            mine = counts.get(run.value(factor), (0, 0))
            counts[run.value(factor)] = (mine[0] + run.succeeded, mine[1] + 1)
        for value, (successes, tries) in sorted(counts.items()):
            rest = (won - successes, len(runs) - tries)
            if value and min(tries, rest[1]) >= least:
                chance = chance_of_equal(successes, tries, *rest)
                yield Pattern(runs[0].kind, factor, value, wilson(successes, tries), wilson(*rest), chance)
