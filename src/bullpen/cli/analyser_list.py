"""The analysers as lists show them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listed:
    """An analyser, and why it cannot be used if it cannot."""

    name: str
    version: str
    reach: str
    summary: str
    problem: str = ""


def list_analysers() -> list[Listed]:
    """Every analyser, loaded and asked for its version."""
    from bullpen.analysis.roast import ANALYSERS

    return [_listed(name, ANALYSERS.summary(name)) for name in ANALYSERS.names()]


def _listed(name: str, summary: str) -> Listed:
    from bullpen.analysis.roast import ANALYSERS
    from bullpen.domain.errors import BullpenError

    try:
        analyser = ANALYSERS.load(name)
        return Listed(name, analyser.version(), analyser.reach.value, summary)
    except BullpenError as error:
        return Listed(name, "", "", summary, error.sentence)
