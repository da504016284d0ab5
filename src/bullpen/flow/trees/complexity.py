"""How much work a task is, in points (1 is a change of one line in one file), and whether it should be split."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extent:
    """What is known of a task before it is done.

    ``places`` are lines to change, ``files`` the files they are in, ``components`` the parts of the project those belong
    to. ``dependents`` are files that depend on what is changed, ``covered`` the share (0 to 1) of the places tests run.
    """

    places: int
    files: int = 1
    components: int = 1
    dependents: int = 0
    covered: float = 1.0
    public: bool = False


@dataclass(frozen=True, slots=True)
class Complexity:
    """Points, and what each part of them is for; the parts add up to the points."""

    points: float
    parts: tuple[tuple[str, float], ...]

    @property
    def reason(self) -> str:
        """One sentence: ``6.5 points: 4.0 places, 1.5 files, 1.0 dependents``."""
        shown = ", ".join(f"{value:.1f} {name}" for name, value in self.parts if value)
        return f"{self.points:.1f} points: {shown or 'nothing to change'}"


@dataclass(frozen=True, slots=True)
class SplitRule:
    """Above these a task is split. Files and components weigh more than places: they are what people lose sight of."""

    points: float = 20.0
    files: int = 8
    components: int = 1


DEFAULT_SPLIT = SplitRule()


def complexity(extent: Extent) -> Complexity:
    """The points of a task. More of anything never makes fewer points."""
    places = max(0, extent.places)
    parts = (
        ("places", 1.0 + (places - 1) / 2 if places else 0.0),
        ("files", 1.5 * max(0, extent.files - 1)),
        ("components", 3.0 * max(0, extent.components - 1)),
        ("dependents", math.log2(1 + max(0, extent.dependents))),
        ("untested places", 2.0 * (1.0 - min(1.0, max(0.0, extent.covered))) if places else 0.0),
        ("public names", 2.0 if extent.public else 0.0),
    )
    return Complexity(sum(value for _, value in parts), parts)


def why_split(extent: Extent, rule: SplitRule = DEFAULT_SPLIT) -> str:
    """Why a task should be split, in one sentence; empty if it should not or cannot be (one place is one task)."""
    if extent.places <= 1:
        return ""
    found = complexity(extent)
    if extent.components > rule.components:
        return f"It reaches into {extent.components} components; {rule.components} at a time is the rule."
    if extent.files > rule.files:
        return f"It changes {extent.files} files; {rule.files} at a time is the rule."
    if found.points > rule.points:
        return f"It is {found.reason}; {rule.points:.0f} points at a time is the rule."
    return ""


def chunks(weights: Sequence[float], most: float) -> list[range]:
    """Cut a row of weights into runs of at most ``most`` each, as few as possible; what is heavier stands alone."""
    found: list[range] = []
    start, total = 0, 0.0
    for number, weight in enumerate(weights):
        if number > start and total + weight > most:
            found.append(range(start, number))
            start, total = number, 0.0
        total += weight
    if weights:
        found.append(range(start, len(weights)))
    return found
