"""What analysers may know of a tree besides its files."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bullpen.analysis.base import SourceTree
from bullpen.flow.improve.means import Means
from bullpen.vcs.history import count_commits

ADVISORIES = "advisories"  # a folder in Bullpen's home
_A_YEAR = 365


async def with_surroundings(
    means: Means, tree: SourceTree, mirror: Path, base: str, durations: Mapping[str, float] | None = None
) -> SourceTree:
    """The tree with how often its files changed in the year before ``base``, and with the person's advisories.

    ``base`` is where work started: what Bullpen itself commits makes no file a busy one. ``durations`` are the seconds
    that tests took.
    """
    churn = await count_commits(mirror, base, days=_A_YEAR)
    advisories = means.settings.home / ADVISORIES
    return replace(tree, churn=churn, durations=durations or {}, advisories=advisories)
