"""One round of scheduling: every waiting job gets an agent, or the reason why it has none yet."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bullpen.flow.schedule.base import Agent, Choice, Job, NoChoice, Policy
from bullpen.flow.schedule.choose import choose
from bullpen.flow.schedule.fairness import NOTHING_USED, Usage, fair_order
from bullpen.flow.schedule.index import AgentIndex


@dataclass(frozen=True, slots=True)
class Round:
    """Who does what, in the order of service, and what waits on, each with its reason."""

    placed: tuple[Choice, ...]
    waiting: tuple[NoChoice, ...]


def assign(
    agents: Iterable[Agent],
    jobs: Iterable[Job],
    now: float,
    policy: Policy | None = None,
    usage: Usage = NOTHING_USED,
) -> Round:
    """Give the jobs to the agents of a snapshot; no agent gets more than its capacity.

    Pure: the same snapshot gives the same round, in whatever order agents and jobs are listed.
    """
    index = AgentIndex(agents, policy or Policy(), now)
    placed: list[Choice] = []
    waiting: list[NoChoice] = []
    for job in fair_order(jobs, usage):
        choice = place_one(index, job, now)
        if isinstance(choice, Choice):
            placed.append(choice)
        else:
            waiting.append(choice)
    return Round(tuple(placed), tuple(waiting))


def place_one(index: AgentIndex, job: Job, now: float) -> Choice | NoChoice:
    """Choose, and count the job into the load of the agent chosen."""
    choice = choose(index, job, now)
    if isinstance(choice, Choice):
        agent = index.agent(choice.agent)
        index.put(replace(agent, load=agent.load + 1), now)
    return choice
