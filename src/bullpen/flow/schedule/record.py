"""An agent's track record at one capability: what was measured, of which the recent counts most.

Outcomes are measured by the platform, never told by the agent. Old evidence fades, because skill drifts: the model
behind an agent is changed, a repository gets harder. Discounted counts are those of Garivier and Moulines, "On
Upper-Confidence Bound Policies for Switching Bandit Problems" (ALT 2011). How fast it fades is not known in advance
and differs between agents, so several paces are kept side by side and weighed by how well each foretold what came
(dynamic model averaging: Raftery, Kárný and Ettler, Technometrics 2010).
"""

import math
from dataclasses import dataclass

PACES = (0.25, 1.0, 4.0, 16.0)  # half-lives, in units of the policy's
_MEMORY = 0.95  # of the weights themselves: a pace that was right long ago is not right for ever
_FLOOR = 0.02  # no pace is ever ruled out


@dataclass(frozen=True, slots=True)
class Fade:
    """Faded counts at one pace, and how much that pace is believed (the weights of a record add up to 1)."""

    wins: float = 0.0
    tries: float = 0.0
    weight: float = 1.0 / len(PACES)


@dataclass(frozen=True, slots=True)
class Record:
    """``wins`` of ``tries`` in all; ``fades`` are the same, faded as of ``at`` (seconds), one for each pace."""

    wins: int = 0
    tries: int = 0
    at: float = 0.0
    fades: tuple[Fade, ...] = (Fade(),) * len(PACES)


NO_RECORD = Record()


def measured(wins: int, tries: int, at: float) -> Record:
    """A record taken over from elsewhere, all of it as of ``at``."""
    return Record(wins, tries, at, (Fade(float(wins), float(tries)),) * len(PACES))


@dataclass(frozen=True, slots=True)
class Estimate:
    """The chance of success (0 to 1) and its standard deviation."""

    mean: float
    deviation: float


def estimate(record: Record, declared: float, prior: float, now: float, half_life: float) -> Estimate:
    """The chance of success: for each pace a Beta distribution, mixed by the paces' weights.

    Each begins with ``prior`` tries at what is usual for the agent, and that is the slowest pace, begun with ``prior``
    tries at the ``declared`` skill. A declaration is worth so much and no more: an agent that lies is found out after a
    few tries, and is not believed again as soon as they fade.
    """
    usual = _usual(record, declared, prior, now, half_life)
    mean = square = 0.0
    for fade, pace in zip(record.fades, PACES, strict=True):
        tries, chance = _at_pace(fade, usual, prior, _left(record, now, half_life * pace))
        mean += fade.weight * chance
        square += fade.weight * (chance * chance + chance * (1.0 - chance) / (tries + 1.0))
    return Estimate(mean, math.sqrt(max(0.0, square - mean * mean)))


def with_outcome(
    record: Record, won: bool, now: float, half_life: float, declared: float = 0.5, prior: float = 2.0
) -> Record:
    """The record after one more outcome at ``now``; ``half_life`` in seconds."""
    usual = _usual(record, declared, prior, now, half_life)
    faded: list[Fade] = []
    for fade, pace in zip(record.fades, PACES, strict=True):
        left = _left(record, now, half_life * pace)
        chance = _at_pace(fade, usual, prior, left)[1]
        foretold = max(chance if won else 1.0 - chance, 1e-3)
        weight = fade.weight**_MEMORY * foretold
        faded.append(Fade(fade.wins * left + won, fade.tries * left + 1.0, weight))
    total = sum(fade.weight for fade in faded)
    share = 1.0 - _FLOOR * len(faded)
    fades = tuple(Fade(one.wins, one.tries, _FLOOR + share * one.weight / total) for one in faded)
    return Record(record.wins + won, record.tries + 1, max(now, record.at), fades)


def _usual(record: Record, declared: float, prior: float, now: float, half_life: float) -> float:
    """What the slowest pace remembers, begun with the declaration."""
    slowest = record.fades[-1]
    return _at_pace(slowest, min(1.0, max(0.0, declared)), prior, _left(record, now, half_life * PACES[-1]))[
        1
    ]


def _at_pace(fade: Fade, usual: float, prior: float, left: float) -> tuple[float, float]:
    """Tries and chance."""
    tries = prior + fade.tries * left
    return tries, (prior * usual + fade.wins * left) / tries


def _left(record: Record, now: float, half_life: float) -> float:
    return 0.5 ** (max(0.0, now - record.at) / half_life)
