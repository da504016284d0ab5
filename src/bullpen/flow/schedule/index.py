"""Agents in order of merit, by capability, load and place: what makes a choice among 10,000 take microseconds.

Built once from a snapshot in O(n log n) and kept by ``put`` in O(log n) steps (and one move of memory).
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bullpen.flow.schedule.base import Agent, Policy
from bullpen.flow.schedule.record import estimate

LEVELS = 8  # loads are told apart by eighths of the capacity, so there are few orders to look at
_Entry = tuple[float, str]
_Key = tuple[str, int, str | None]


@dataclass(frozen=True, slots=True)
class Standing:
    """An agent as indexed. ``means`` are its estimated chances of success by capability; ``worth`` is a chance with
    curiosity added and cost taken off, before load, place and deadline.
    """

    agent: Agent
    worth: dict[str, float]
    means: dict[str, float]
    level: int | None


class AgentIndex:
    """A snapshot of agents, ordered. ``put`` replaces one, for its load or its record changed; ``drop`` removes one."""

    def __init__(self, agents: Iterable[Agent], policy: Policy, now: float) -> None:
        self.policy = policy
        self._standings: dict[str, Standing] = {}
        self._orders: dict[_Key, list[_Entry]] = {}
        self._turn: list[str] = []
        for agent in agents:
            self._note(_standing(agent, policy, now))
        for standing in self._standings.values():
            for key, entry in _entries(standing):
                self._orders.setdefault(key, []).append(entry)
        for order in self._orders.values():
            order.sort()

    def __len__(self) -> int:
        return len(self._standings)

    def __contains__(self, agent: str) -> bool:
        return agent in self._standings

    def agent(self, agent: str) -> Agent:
        """The agent with this id; KeyError if there is none."""
        return self._standings[agent].agent

    def agents(self) -> Iterator[Agent]:
        """All of them."""
        return (standing.agent for standing in self._standings.values())

    def standing(self, agent: str) -> Standing:
        """The agent with this id, as indexed."""
        return self._standings[agent]

    def order(self, capability: str, level: int, place: str | None) -> list[_Entry]:
        """(minus worth, agent) in order; ``place`` None for agents everywhere. Only to be read."""
        return self._orders.get((capability, level, place), [])

    def put(self, agent: Agent, now: float) -> None:
        """Add an agent, or put it where it belongs now."""
        self.drop(agent.id, forget=False)
        standing = _standing(agent, self.policy, now)
        self._note(standing)
        for key, entry in _entries(standing):
            insort(self._orders.setdefault(key, []), entry)

    def drop(self, agent: str, *, forget: bool = True) -> None:
        """Remove an agent; nothing happens if it is not there."""
        standing = self._standings.get(agent)
        if standing is None:
            return
        for key, entry in _entries(standing):
            order = self._orders[key]
            del order[bisect_left(order, entry)]
        if forget:
            del self._standings[agent]

    def refresh(self, now: float, count: int = 2) -> None:
        """Reckon the next ``count`` agents anew, in turn: evidence fades, so an agent left alone is tried again."""
        for _ in range(min(count, len(self._standings))):
            if not self._turn:
                self._turn = list(self._standings)
            name = self._turn.pop()
            if name in self._standings:
                self.put(self._standings[name].agent, now)

    def _note(self, standing: Standing) -> None:
        self._standings[standing.agent.id] = standing


def _standing(agent: Agent, policy: Policy, now: float) -> Standing:
    means: dict[str, float] = {}
    worth: dict[str, float] = {}
    cost = policy.cost * agent.cost.micro_usd / 1_000_000
    for capability, declared in agent.capabilities.items():
        found = estimate(agent.record(capability), declared, policy.prior, now, policy.half_life)
        means[capability] = found.mean
        worth[capability] = found.mean + policy.curiosity * found.deviation - cost
    return Standing(agent, worth, means, _level(agent))


def _level(agent: Agent) -> int | None:
    """The load in eighths of the capacity; None for an agent that takes nothing now."""
    if not agent.available or agent.load >= agent.capacity:
        return None
    return max(0, agent.load) * LEVELS // agent.capacity


def _entries(standing: Standing) -> Iterator[tuple[_Key, _Entry]]:
    if standing.level is None:
        return
    for capability, worth in standing.worth.items():
        entry = (-worth, standing.agent.id)
        yield (capability, standing.level, None), entry
        if standing.agent.place:
            yield (capability, standing.level, standing.agent.place), entry
