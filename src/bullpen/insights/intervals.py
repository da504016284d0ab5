"""Shares and how sure they are: Wilson's interval, and the test of two shares."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Share:
    """``successes`` of ``tries``, with the interval the true share is in at the confidence asked for."""

    successes: int
    tries: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """The share itself; 0 where nothing was tried."""
        return self.successes / self.tries if self.tries else 0.0

    def __str__(self) -> str:
        return (
            f"{self.successes} of {self.tries} ({self.rate:.0%}, between {self.low:.0%} and {self.high:.0%})"
        )


def wilson(successes: int, tries: int, confidence: float = 0.95) -> Share:
    """Wilson's score interval (1927): holds for few tries and for shares near 0 and 1; 0 to 1 where nothing was tried."""
    if tries <= 0:
        return Share(0, 0, 0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate = successes / tries
    scale = 1 + z * z / tries
    middle = (rate + z * z / (2 * tries)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / tries + z * z / (4 * tries * tries))
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == tries else min(1.0, middle + half)
    return Share(successes, tries, low, high)


def chance_of_equal(successes: int, tries: int, other_successes: int, other_tries: int) -> float:
    """The probability that shares at least so far apart come from the same one (two-sided, exact).

    Fisher's exact test; by the normal approximation with continuity correction above 2,000 tries in all. 1 where one
    of them has no tries.
    """
    if not tries or not other_tries:
        return 1.0
    total, won = tries + other_tries, successes + other_successes
    if total > 2000:
        return _by_normal(successes, tries, other_successes, other_tries)
    lowest, highest = max(0, won - other_tries), min(tries, won)
    logs = [_log_hypergeometric(n, tries, other_tries, won) for n in range(lowest, highest + 1)]
    seen = logs[successes - lowest] + 1e-9
    return min(1.0, sum(math.exp(one) for one in logs if one <= seen))


def discoveries(chances: Sequence[float], rate: float = 0.05) -> list[bool]:
    """Which of many tests count, so that at most ``rate`` of those that do are flukes (Benjamini and Hochberg, 1995)."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    passed = [n for n, test in enumerate(order, 1) if chances[test] <= rate * n / len(chances)]
    kept = set(order[: passed[-1]]) if passed else set[int]()
    return [number in kept for number in range(len(chances))]


def _log_hypergeometric(successes: int, tries: int, other_tries: int, won: int) -> float:
    return (
        _log_choose(tries, successes)
        + _log_choose(other_tries, won - successes)
        - _log_choose(tries + other_tries, won)
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _by_normal(successes: int, tries: int, other_successes: int, other_tries: int) -> float:
    pooled = (successes + other_successes) / (tries + other_tries)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / tries + 1 / other_tries))
    gap = abs(successes / tries - other_successes / other_tries) - (1 / tries + 1 / other_tries) / 2
    return math.erfc(max(0.0, gap) / spread / math.sqrt(2)) if spread else 1.0
