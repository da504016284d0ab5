"""Settings that follow what was measured: within bounds, behind a flag, and back again when results get worse (LRN-03).

A change is a trial: the settings before it are kept, and results since are held against results before. Looking again
and again finds a fluke in the end, so the chance of a needless return is shared out over the looks (Bonferroni), and
none is taken before there are enough runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bullpen.insights.intervals import chance_of_equal, wilson
from bullpen.insights.performance import performance
from bullpen.insights.runs import Factor, FinishedRun


@dataclass(frozen=True, slots=True)
class Tuned:
    """What may be adapted. ``routes`` is the order of agents by kind of item, ``fallback`` the order of models."""

    routes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    fallback: tuple[str, ...] = ()
    retries: int = 2
    parallel: int = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """What adapting must keep to. One step changes ``retries`` and ``parallel`` by one at most."""

    retries: tuple[int, int] = (0, 5)
    parallel: tuple[int, int] = (1, 16)
    least: int = 20  # runs before anything is concluded
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

    Agents and models are only put in another order, never added or left out. Without evidence the order stays.
    """
    if not enabled:
        return None
    routes, why_routes = _routes(settings, runs, limits)
    fallback, why_fallback = _fallback(settings, runs, limits)
    retries, why_retries = _retries(settings, runs, limits)
    parallel, why_parallel = _parallel(settings, crowding, limits)
    wanted = Tuned(routes, fallback, retries, parallel)
    reasons = (*why_routes, *why_fallback, *why_retries, *why_parallel)
    return Trial(wanted, settings, now, reasons) if wanted != settings else None


def review(
    trial: Trial, runs: Iterable[FinishedRun], *, enabled: bool, limits: Limits = DEFAULT_LIMITS
) -> Review:
    """Hold the runs since a trial began against those before it: go back, go on looking, or keep it for good.

    Switching adapting off goes back at once.
    """
    if not enabled:
        return Review(trial.before, None, True, "Adapting was switched off; the earlier settings are back.")
    before, since = _split(runs, trial.began)
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
    routes: dict[str, tuple[str, ...]] = {}
    reasons: list[str] = []
    for kind, order in settings.routes.items():
        mine = [run for run in runs if run.kind == kind]
        routes[kind], why = _ranked(order, mine, Factor.AGENT, limits)
        reasons += [f"{kind} items: {one}" for one in why]
    return routes, reasons


def _fallback(
    settings: Tuned, runs: Sequence[FinishedRun], limits: Limits
) -> tuple[tuple[str, ...], list[str]]:
    order, why = _ranked(settings.fallback, runs, Factor.MODEL, limits)
    return order, [f"models: {one}" for one in why]


def _ranked(
    order: tuple[str, ...], runs: Sequence[FinishedRun], by: Factor, limits: Limits
) -> tuple[tuple[str, ...], list[str]]:
    """One pass of exchanging neighbours: a later one goes before an earlier where its interval lies wholly above."""
    known = {one.name: one.success for one in performance(runs, by) if one.success.tries >= limits.least}
    found, reasons = list(order), list[str]()
    for place in range(len(found) - 1, 0, -1):
        earlier, later = found[place - 1], found[place]
        if earlier in known and later in known and known[later].low > known[earlier].high:
            found[place - 1], found[place] = later, earlier
            reasons.append(f"{later} before {earlier}: {known[later]} against {known[earlier]}")
    return tuple(found), reasons


def _retries(settings: Tuned, runs: Sequence[FinishedRun], limits: Limits) -> tuple[int, list[str]]:
    """One more where the last try still pays (a fifth succeed at it), one less where it hardly does (a twentieth)."""
    last = [run for run in runs if run.rework >= settings.retries]
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
    """Follows the throughput that was measured at the present number and its neighbours; conflicts are lost runs."""
    rates = {one.parallel: _rate(one) for one in crowding if one.runs >= limits.least}
    here = rates.get(settings.parallel)
    if here is None:
        return settings.parallel, []
    near = [n for n in (settings.parallel - 1, settings.parallel + 1) if n in rates and rates[n] > 1.1 * here]
    wanted = _within(max(near, key=lambda n: rates[n]), limits.parallel) if near else settings.parallel
    if wanted == settings.parallel:
        return wanted, []
    rate = f"{3600 * rates[wanted]:.0f} runs an hour against {3600 * here:.0f}"
    return wanted, [f"{wanted} in parallel: {rate}"]


def _rate(one: Crowding) -> float:
    """Runs that count, per second."""
    return one.parallel * (1 - min(1.0, one.conflicts / one.runs)) / max(one.seconds, 1e-9)


def _within(value: int, bounds: tuple[int, int]) -> int:
    return min(max(value, bounds[0]), bounds[1])
