"""Who may be scheduled: what an agent says of itself, checked at the door."""

import math
from collections.abc import Mapping
from dataclasses import replace

from bullpen.domain.errors import InvalidInput, LimitExceeded
from bullpen.flow.schedule.base import Agent
from bullpen.flow.schedule.record import Record

MOST_AGENTS = 100_000
MOST_CAPABILITIES = 64
MOST_CAPACITY = 1_000
LONGEST_NAME = 200


def register(agents: Mapping[str, Agent], newcomer: Agent) -> dict[str, Agent]:
    """The agents with ``newcomer`` among them; declarations outside 0 to 1 are brought to the nearer end.

    An agent that registers again gets its new declarations, and keeps its measured record and its load: coming back
    under the same name washes nothing away.

    Raises:
        InvalidInput: it has no name, no capability, or a skill that is no number.
        LimitExceeded: too many agents or capabilities.
    """
    known = agents.get(newcomer.id)
    if known is None and len(agents) >= MOST_AGENTS:
        raise LimitExceeded(
            f"{len(agents)} agents are registered, which is the most there can be.",
            remedy="Remove agents that are gone.",
        )
    admitted = replace(_checked(newcomer), records=dict[str, Record](), load=0)
    if known:
        admitted = replace(admitted, records=known.records, load=known.load)
    return {**agents, newcomer.id: admitted}


def _checked(newcomer: Agent) -> Agent:
    name = newcomer.id[:LONGEST_NAME]
    if not name.strip() or len(newcomer.id) > LONGEST_NAME:
        raise InvalidInput(f"An agent's name has 1 to {LONGEST_NAME} characters; this is {name!r}.")
    if not newcomer.capabilities:
        raise InvalidInput(f"Agent {name} names no capability, so it could never be chosen.")
    if len(newcomer.capabilities) > MOST_CAPABILITIES:
        count = len(newcomer.capabilities)
        raise LimitExceeded(f"Agent {name} names {count} capabilities; {MOST_CAPABILITIES} are allowed.")
    if not 1 <= newcomer.capacity <= MOST_CAPACITY:
        raise InvalidInput(
            f"Agent {name} takes {newcomer.capacity} jobs at a time; 1 to {MOST_CAPACITY} are allowed."
        )
    skills = {one: _skill(name, one, value) for one, value in newcomer.capabilities.items()}
    return replace(newcomer, capabilities=skills)


def _skill(agent: str, capability: str, value: float) -> float:
    if not math.isfinite(value):
        raise InvalidInput(f"Agent {agent} declares {value} for {capability!r}; a skill is from 0 to 1.")
    return min(1.0, max(0.0, value))
