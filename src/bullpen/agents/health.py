"""How an agent fares: values, and the rules by which it rests, is drained and comes back.

Nothing here polls. An agent that was drained is tried again when somebody asks for it after its rest is over.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from bullpen.agents.base import AgentResult, Ending

FAULTS_UNTIL_DRAINED = 3  # in a row
FIRST_REST = 5.0  # seconds; twice as long after each further fault
LONGEST_REST = 600.0
PROVEN_TASKS = 5  # of one capability, before its success rate is believed
LEAST_SUCCESS = 0.2  # below it a claimed capability counts as untrue
_WEIGHT = 0.2  # of the newest value in a moving mean


class Standing(StrEnum):
    """Whether an agent gets tasks."""

    READY = "ready"
    ON_TRIAL = "on-trial"  # its rest is over: one task decides
    DRAINED = "drained"  # its faults were too many; it rests
    STOPPED = "stopped"  # a person said so


@dataclass(frozen=True, slots=True)
class Checkup:
    """What a health check found. ``lacking`` are programs it needs and does not find."""

    alive: bool
    lacking: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something was tried and how often it came out well."""

    tried: int = 0
    well: int = 0

    def plus(self, *, well: bool) -> "Tally":
        """One more."""
        return Tally(self.tried + 1, self.well + well)

    @property
    def rate(self) -> float:
        """Success from 0 to 1 with one good and one bad try assumed (Laplace), so that one try proves little."""
        return (self.well + 1) / (self.tried + 2)


@dataclass(frozen=True, slots=True)
class Health:
    """Everything known of how one agent fares. Times are of the clock the fleet was given, in seconds.

    ``tasks`` counts those it ended by its own word as done among all; a fault is an end without any word of it.
    ``skills`` are tallies by capability. ``latency`` is a moving mean of seconds per task.
    """

    tasks: Tally = field(default_factory=Tally)
    faults: int = 0  # in a row
    running: int = 0
    latency: float = 0.0
    last_sign: float | None = None
    last_error: str = ""
    lacking: tuple[str, ...] = ()
    rest_until: float | None = None
    stopped: str = ""
    skills: tuple[tuple[str, Tally], ...] = ()

    def standing(self, now: float) -> Standing:
        """Whether it gets tasks now."""
        if self.stopped:
            return Standing.STOPPED
        if self.rest_until is None:
            return Standing.READY
        return Standing.DRAINED if now < self.rest_until else Standing.ON_TRIAL

    def skill(self, capability: str) -> Tally:
        """How it did where this capability was asked for."""
        return next((tally for name, tally in self.skills if name == capability), Tally())

    def untrue(self, capability: str) -> bool:
        """Whether it claims a capability that its results deny."""
        tally = self.skill(capability)
        return tally.tried >= PROVEN_TASKS and tally.well / tally.tried < LEAST_SUCCESS


UNKNOWN = Health()


def is_fault(result: AgentResult) -> bool:
    """Whether the agent itself broke: it ended without its own word, and nobody asked it to."""
    return not result.outcome and result.ending not in (Ending.CANCELLED, Ending.WAITING)


def began(health: Health) -> Health:
    """It has one more task."""
    return replace(health, running=health.running + 1)


def let_go(health: Health) -> Health:
    """A task of it was cancelled: that says nothing about it."""
    return replace(health, running=max(0, health.running - 1))


def ended(health: Health, result: AgentResult, capability: str, seconds: float, now: float) -> Health:
    """A task of it ended."""
    calm = let_go(health)
    if result.ending in (Ending.CANCELLED, Ending.WAITING):
        return calm
    well = result.done
    latency = seconds if not calm.tasks.tried else calm.latency + _WEIGHT * (seconds - calm.latency)
    skills = dict(calm.skills)
    if capability:
        skills[capability] = calm.skill(capability).plus(well=well)
    counted = replace(calm, tasks=calm.tasks.plus(well=well), latency=latency, skills=tuple(skills.items()))
    return (
        failed(counted, result.seen or result.summary, now) if is_fault(result) else well_again(counted, now)
    )


def failed(health: Health, error: str, now: float) -> Health:
    """It broke. After some faults in a row, or at once if it was on trial, it rests, ever longer."""
    faults = health.faults + 1
    on_trial = health.standing(now) is Standing.ON_TRIAL
    rests = on_trial or faults >= FAULTS_UNTIL_DRAINED
    until = now + rest_seconds(faults) if rests else health.rest_until
    return replace(health, faults=faults, last_error=error[:500], rest_until=until)


def well_again(health: Health, now: float) -> Health:
    """It gave a sign that it is well."""
    return replace(health, faults=0, rest_until=None, last_sign=now)


def examined(health: Health, checkup: Checkup, now: float) -> Health:
    """What a health check found. One that is not alive rests at once."""
    known = replace(health, lacking=checkup.lacking)
    if checkup.alive:
        return well_again(known, now)
    faults = max(known.faults + 1, FAULTS_UNTIL_DRAINED)
    return replace(
        known, faults=faults, last_error=checkup.error[:500], rest_until=now + rest_seconds(faults)
    )


def rest_seconds(faults: int) -> float:
    """How long an agent rests after so many faults in a row."""
    doublings = min(30, max(0, faults - FAULTS_UNTIL_DRAINED))
    return min(LONGEST_REST, FIRST_REST * 2.0**doublings)
