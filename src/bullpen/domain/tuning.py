"""Settings of a session that may follow what earlier sessions measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field

DEVELOP = "develop"


@dataclass(frozen=True, slots=True)
class Tuned:
    """What may be adapted. ``routes`` is the order of agents by kind of work (see ``kind_of_work``), ``fallback`` the
    order of models.

    ``retries`` are tries at an item after the first, ``parallel`` items of one wave, ``seconds`` the longest time of one
    agent at one item; 0 leaves it to the settings. ``timed`` are the agents those seconds were measured of, and hold for;
    empty means everybody.
    """

    routes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    fallback: tuple[str, ...] = ()
    retries: int = 2
    parallel: int = 4
    seconds: float = 0.0
    timed: tuple[str, ...] = ()


def kind_of_work(phase: str, concern: str) -> str:
    """What runs are compared within: ``security`` where code is changed, ``review of security`` where it is looked at."""
    return concern if phase == DEVELOP else f"{phase} of {concern}"
