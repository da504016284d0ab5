"""Settings that follow what was measured: within bounds, behind a flag, and back again when results get worse (LRN-03).

A change is a trial: the settings before it are kept, and results since are held against results before. Looking again
and again finds a fluke in the end, so the chance of a needless return is shared out over the looks (Bonferroni), and
none is taken before there are enough runs.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from bullpen.domain.tuning import Tuned
from bullpen.insights.intervals import chance_of_equal, wilson
from bullpen.insights.performance import performance
from bullpen.insights.runs import DEVELOPER, Factor, FinishedRun


@dataclass(frozen=True, slots=True)
class Limits:
    """What adapting must keep to. One step changes ``retries`` and ``parallel`` by one at most."""

    retries: tuple[int, int] = (0, 5)
    parallel: tuple[int, int] = (1, 16)
    seconds: tuple[float, float] = (60.0, 1800.0)
    least: int = 20  # runs before anything is concluded
    least_successes: int = (
        59  # before a time is concluded: the longest of so many bounds 95 % of all, at 95 %
    )
    chance: float = 0.05  # of a needless return, over all looks
    looks: int = 10


@dataclass(frozen=True, slots=True)
class Crowding:
    """What was measured of running side by side: seconds of a run, and conflicts, at each number in parallel."""

    parallel: int
    seconds: float
    conflicts: int
    runs: int


@dataclass(frozen=True, slots=True)
class Trial:
    """Adapted settings, those before them, and when they began.

    ``looks`` counts the reviews that could have ended it, ``seen`` the runs since it began at the last of them.
    """

    settings: Tuned
    before: Tuned
    began: float
    reasons: tuple[str, ...]
    looks: int = 0
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Review:
    """What a look at a trial came to. ``settings`` hold from now on; ``trial`` is None once it is settled."""

    settings: Tuned
    trial: Trial | None
    reverted: bool
    reason: str


DEFAULT_LIMITS = Limits()


def propose(
    settings: Tuned,
    runs: Sequence[FinishedRun],
    now: float,
    *,
    enabled: bool,
    crowding: Sequence[Crowding] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> Trial | None:
    """Settings worth trying, or None: adapting is off, nothing is known yet, or all is well as it is.

    Agents and models are only put in another order, never kept from working. Without evidence the order stays.
    """
    if not enabled:
        return None
    routes, why_routes = _routes(settings, runs, limits)
    fallback, why_fallback = _fallback(settings, runs, limits)
    retries, why_retries = _retries(settings, runs, limits)
    parallel, why_parallel = _parallel(settings, crowding, limits)
    timed, why_seconds = _seconds(settings, runs, limits)
    wanted = replace(timed, routes=routes, fallback=fallback, retries=retries, parallel=parallel)
    reasons = (*why_routes, *why_fallback, *why_retries, *why_parallel, *why_seconds)
    return Trial(wanted, settings, now, reasons) if wanted != settings else None


def review(
    trial: Trial, runs: Iterable[FinishedRun], *, enabled: bool, limits: Limits = DEFAULT_LIMITS
) -> Review:
    """Hold the runs since a trial began against those before it: go back, go on looking, or keep it for good.

    Switching adapting off goes back at once.
    """
    if not enabled:
        return Review(trial.before, None, True, "Adapting was switched off; the earlier settings are back.")
    before, since = _split(_developed(runs), trial.began)
    if min(len(before), len(since) - trial.seen) < limits.least:
        fresh = len(since) - trial.seen
        why = f"{fresh} runs since the last look and {len(before)} before; {limits.least} of each are needed."
        return Review(trial.settings, trial, False, why)
    early, late = wilson(_won(before), len(before)), wilson(_won(since), len(since))
    shown = f"before {early}, since {late}"
    chance = chance_of_equal(late.successes, late.tries, early.successes, early.tries)
    if late.rate < early.rate and chance <= 2 * limits.chance / limits.looks:
        return Review(
            trial.before, None, True, f"Results got worse ({shown}); the earlier settings are back."
        )
    looked = replace(trial, looks=trial.looks + 1, seen=len(since))
    if looked.looks >= limits.looks:
        return Review(trial.settings, None, False, f"Results did not get worse ({shown}); the change stays.")
    return Review(trial.settings, looked, False, f"Nothing speaks against it yet ({shown}).")


def _split(runs: Iterable[FinishedRun], began: float) -> tuple[list[FinishedRun], list[FinishedRun]]:
    before: list[FinishedRun] = []
    since: list[FinishedRun] = []
    for run in runs:
        (since if run.at >= began else before).append(run)
    return before, since


def _won(runs: Sequence[FinishedRun]) -> int:
    return sum(run.succeeded for run in runs)


def _routes(
    settings: Tuned, runs: Sequence[FinishedRun], limits: Limits
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """An order for each kind of work in which one agent surely does better than another; else it is left as it is."""
    routes = dict(settings.routes)
    reasons: list[str] = []
    for kind in sorted({run.kind for run in runs}):
        mine = [run for run in runs if run.kind == kind]
        order, why = _ranked(routes.get(kind, ()), mine, Factor.AGENT, limits)
        if order:
            routes[kind] = order
        reasons += [f"{kind} items: {one}" for one in why]
    return routes, reasons


def _fallback(
    settings: Tuned, runs: Sequence[FinishedRun], limits: Limits
) -> tuple[tuple[str, ...], list[str]]:
    """Models are only put in another order; which there are is a matter of the settings."""
    known = [run for run in _developed(runs) if run.model in settings.fallback]
    order, why = _ranked(settings.fallback, known, Factor.MODEL, limits)
    return order, [f"models: {one}" for one in why]


def _ranked(
    order: tuple[str, ...], runs: Sequence[FinishedRun], by: Factor, limits: Limits
) -> tuple[tuple[str, ...], list[str]]:
    """Those whose intervals lie wholly apart, the best first, before the others as they were."""
    known = [one for one in performance(runs, by) if one.success.tries >= limits.least]
    chain = known[:1]
    for one in known[1:]:
        if one.success.high < chain[-1].success.low:
            chain.append(one)
    if len(chain) < 2:
        return order, []
    found = tuple(dict.fromkeys((*(one.name for one in chain), *order)))
    if found == order:
        return order, []
    return found, [
        f"{first.name} before {then.name}: {first.success} against {then.success}"
        for first, then in pairwise(chain)
    ]


def _retries(settings: Tuned, runs: Sequence[FinishedRun], limits: Limits) -> tuple[int, list[str]]:
    """One more where the last try still pays (a fifth succeed at it), one less where it hardly does (a twentieth)."""
    last = [run for run in _developed(runs) if run.rework >= settings.retries]
    if len(last) < limits.least:
        return settings.retries, []
    share = wilson(_won(last), len(last))
    step = 1 if share.low > 0.2 else -1 if share.high < 0.05 else 0
    wanted = _within(settings.retries + step, limits.retries)
    why = (
        [f"{wanted} retries: of runs at the last try, {share} succeed"] if wanted != settings.retries else []
    )
    return wanted, why


def _parallel(settings: Tuned, crowding: Sequence[Crowding], limits: Limits) -> tuple[int, list[str]]:
    """Follows the throughput that was measured at the present number and its neighbours; conflicts are lost runs.

    A neighbour nobody has measured is tried where conflicts are surely rare (below a twentieth), or surely many (above
    a fifth).
    """
    known = {one.parallel: one for one in crowding if one.runs >= limits.least}
    here = known.get(settings.parallel)
    if here is None:
        return settings.parallel, []
    near = [known[n] for n in (settings.parallel - 1, settings.parallel + 1) if n in known]
    better = [one for one in near if _rate(one) > 1.1 * _rate(here)]
    if better:
        best = max(better, key=_rate)
        why = f"{3600 * _rate(best):.0f} runs an hour against {3600 * _rate(here):.0f}"
        wanted = best.parallel
    else:
        wanted, why = _untried(here, known)
    wanted = _within(wanted, limits.parallel)
    return wanted, [f"{wanted} in parallel: {why}"] if wanted != settings.parallel else []


def _untried(here: Crowding, known: Mapping[int, Crowding]) -> tuple[int, str]:
    """A step to a number that was never measured, by the share of conflicts at the present one."""
    share = wilson(min(here.conflicts, here.runs), here.runs)
    step = -1 if share.low > 0.2 else 1 if share.high < 0.05 else 0
    wanted = here.parallel + step
    return (here.parallel, "") if wanted in known else (wanted, f"{share} met in conflicts")


def _seconds(settings: Tuned, runs: Sequence[FinishedRun], limits: Limits) -> tuple[Tuned, list[str]]:
    """Four times what the longest success took: the longest of 59 is above 95 % of all with a confidence of 95 %.

    Wilks, "Determination of sample sizes for setting tolerance limits" (1941). It holds for agents that have so many:
    what takes one a second takes another minutes. It is changed where it would at least be halved, or where successes
    come near to it.
    """
    times: dict[str, list[float]] = {}
    for run in _developed(runs):
        if run.succeeded:
            times.setdefault(run.agent, []).append(run.seconds)
    known = {name: max(mine) for name, mine in times.items() if len(mine) >= limits.least_successes}
    if not settings.seconds or not known:
        return settings, []
    low, high = limits.seconds
    longest, timed = max(known.values()), tuple(sorted(known))
    wanted = min(max(math.ceil(4 * longest), low), high)
    if settings.seconds / 2 < wanted <= settings.seconds:
        return settings, []
    count = sum(len(times[name]) for name in timed)
    why = f"{wanted:g} s for {', '.join(timed)}: the longest of {count} successes took {longest:.0f} s"
    return replace(settings, seconds=wanted, timed=timed), [why]


def _developed(runs: Iterable[FinishedRun]) -> list[FinishedRun]:
    """Those that changed code: what a reviewer or a judge says is measured in another way."""
    return [run for run in runs if run.role == DEVELOPER]


def _rate(one: Crowding) -> float:
    """Runs that count, per second."""
    return one.parallel * (1 - min(1.0, one.conflicts / one.runs)) / max(one.seconds, 1e-9)


def _within(value: int, bounds: tuple[int, int]) -> int:
    return min(max(value, bounds[0]), bounds[1])
