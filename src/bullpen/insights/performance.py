"""How each agent, role, model does: success with its interval, time, cost, rework, trend (LRN-02)."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bullpen.domain.money import Money
from bullpen.insights.intervals import Share, chance_of_equal, wilson
from bullpen.insights.runs import Factor, FinishedRun


class Trend(StrEnum):
    """Where it is going; steady also where there is too little to say."""

    BETTER = "better"
    STEADY = "steady"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class Performance:
    """Figures of one agent, role or model over its runs. Times are in seconds; ``cost_of_success`` is all cost shared
    among the successes, None where there are none; ``rework`` is how often a run was sent back, on average."""

    name: str
    success: Share
    median_seconds: float
    slowest_seconds: float
    cost: Money
    cost_of_success: Money | None
    rework: float
    trend: Trend

    @property
    def sentence(self) -> str:
        """One line for people."""
        price = f"{self.cost_of_success} a success" if self.cost_of_success is not None else "no success yet"
        return (
            f"{self.name}: {self.success}, median {self.median_seconds:.0f} s, {price}, "
            f"sent back {self.rework:.1f} times a run, {self.trend}"
        )


def performance(
    runs: Iterable[FinishedRun], by: Factor, confidence: float = 0.95, least: int = 20
) -> list[Performance]:
    """Figures by agent, role, model (or any factor), those surest to do well first.

    Ranked by the lower end of the interval, so one lucky run is not at the top. The trend compares the later half of
    the runs with the earlier, from ``least`` runs on.
    """
    groups: dict[str, list[FinishedRun]] = {}
    for run in runs:
        if run.value(by):
            groups.setdefault(run.value(by), []).append(run)
    found = [_figures(name, group, confidence, least) for name, group in groups.items()]
    return sorted(found, key=lambda one: (-one.success.low, one.median_seconds, one.name))


def _figures(name: str, runs: Sequence[FinishedRun], confidence: float, least: int) -> Performance:
    won = sum(run.succeeded for run in runs)
    spent = sum(run.cost.micro_usd for run in runs)
    seconds = [run.seconds for run in runs]
    return Performance(
        name,
        wilson(won, len(runs), confidence),
        statistics.median(seconds),
        max(seconds),
        Money(spent),
        Money(spent // won) if won else None,
        statistics.fmean(run.rework for run in runs),
        trend(runs, 1 - confidence, least),
    )


def trend(runs: Sequence[FinishedRun], chance: float = 0.05, least: int = 20) -> Trend:
    """Whether the later half succeeds more or less often than the earlier, and that by no more than ``chance``.

    Runs of one session are never parted: what is easy is done first in each, so its end looks worse than its beginning.
    """
    if len(runs) < least:
        return Trend.STEADY
    ordered = sorted(runs, key=lambda run: run.at)
    half = _parting(ordered)
    before, after = ordered[:half], ordered[half:]
    early, late = sum(run.succeeded for run in before), sum(run.succeeded for run in after)
    if chance_of_equal(late, len(after), early, len(before)) > chance:
        return Trend.STEADY
    return Trend.BETTER if late * len(before) > early * len(after) else Trend.WORSE


def _parting(ordered: Sequence[FinishedRun]) -> int:
    """The place nearest to the middle at which another session begins; the end where there is one session alone."""
    middle = len(ordered) // 2
    if not any(run.session for run in ordered):
        return middle
    places = [
        place for place in range(1, len(ordered)) if ordered[place].session != ordered[place - 1].session
    ]
    return min(places, key=lambda place: abs(place - middle), default=len(ordered))
