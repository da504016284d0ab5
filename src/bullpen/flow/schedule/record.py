"""An agent's track record at one capability: what was measured, of which the recent counts most.

Outcomes are measured by the platform, never told by the agent. Old evidence fades with a half-life, because skill
drifts: the model behind an agent is changed, a repository gets harder. Discounted counts are those of Garivier and
Moulines, "On Upper-Confidence Bound Policies for Switching Bandit Problems" (ALT 2011).
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """``wins`` of ``tries`` in all; ``fresh_wins`` of ``fresh_tries`` are the same, faded as of ``at`` (seconds)."""

    wins: int = 0
    tries: int = 0
    fresh_wins: float = 0.0
    fresh_tries: float = 0.0
    at: float = 0.0


NO_RECORD = Record()


def with_outcome(record: Record, won: bool, now: float, half_life: float) -> Record:
    """The record after one more outcome at ``now``; ``half_life`` in seconds."""
    left = _left(record, now, half_life)
    return Record(
        record.wins + won,
        record.tries + 1,
        record.fresh_wins * left + won,
        record.fresh_tries * left + 1,
        max(now, record.at),
    )


@dataclass(frozen=True, slots=True)
class Estimate:
    """The chance of success (0 to 1) and its standard deviation."""

    mean: float
    deviation: float


def estimate(record: Record, declared: float, prior: float, now: float, half_life: float) -> Estimate:
    """Mean and deviation of a Beta distribution: ``prior`` tries at what is usual for the agent, then fresh evidence.

    What is usual is its whole record, begun with ``prior`` tries at the ``declared`` skill. A declaration is worth so
    much and no more, so an agent that lies is found out after a few tries, and is not believed again when they fade.
    """
    left = _left(record, now, half_life)
    usual = (prior * min(1.0, max(0.0, declared)) + record.wins) / (prior + record.tries)
    tries = prior + record.fresh_tries * left
    mean = (prior * usual + record.fresh_wins * left) / tries
    return Estimate(mean, math.sqrt(max(0.0, mean * (1.0 - mean)) / (tries + 1.0)))


def _left(record: Record, now: float, half_life: float) -> float:
    return 0.5 ** (max(0.0, now - record.at) / half_life)
