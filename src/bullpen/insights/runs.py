"""A finished run of one item, as learning sees it."""

from dataclasses import dataclass
from enum import StrEnum

from bullpen.domain.money import Money

FREE = Money()
DEVELOPER = "developer"  # the role of those who change code


class Factor(StrEnum):
    """What may have made the difference."""

    SHAPE = "shape"
    AGENT = "agent"
    ROLE = "role"
    MODEL = "model"
    RECIPE = "recipe"
    RULE = "rule"
    SIZE = "size"


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """One item done by one agent. ``shape`` names the plan (a template, ``component``, ``single``); ``at`` is its end.

    ``rework`` counts how often it was sent back. Names are empty where they do not apply (no recipe, say); ``size`` is
    a range of places in the code.
    """

    kind: str
    shape: str
    agent: str
    role: str
    model: str
    recipe: str
    succeeded: bool
    seconds: float
    cost: Money = FREE
    rework: int = 0
    at: float = 0.0
    rule: str = ""
    size: str = ""
    session: str = ""

    def value(self, factor: Factor) -> str:
        """What the run had of a factor."""
        return str(getattr(self, factor.value))
