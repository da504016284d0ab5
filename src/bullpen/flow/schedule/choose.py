"""The best agent for one job.

The threshold algorithm of Fagin, Lotem and Naor ("Optimal aggregation algorithms for middleware", 2003): agents are
looked at from the best downward, and the search ends when nobody further down can be better.
"""

from dataclasses import dataclass

from bullpen.flow.schedule.base import Agent, Choice, Job, NoChoice, Policy
from bullpen.flow.schedule.index import LEVELS, AgentIndex, Standing, worth

MOST_LOOKED = 200  # once somebody is found: who would do better is then far down, and a decision stays short


@dataclass(slots=True)
class _Best:
    score: float = float("-inf")
    standing: Standing | None = None

    def offer(self, score: float, standing: Standing) -> None:
        """Equal scores go to the smaller id, so that the order of looking does not matter."""
        if self.standing is None or (-score, standing.agent.id) < (-self.score, self.standing.agent.id):
            self.score, self.standing = score, standing

    def is_out_of_reach(self, bound: float, agent: str) -> bool:
        """Whether this agent, and all who stand below it, cannot be better."""
        return self.standing is not None and (-bound, agent) > (-self.score, self.standing.agent.id)


def choose(index: AgentIndex, job: Job, now: float) -> Choice | NoChoice:
    """The agent with the best score for the job, or the reason why there is none.

    Agents that failed at the job are taken only if nobody else is free. The same index, job and time give the same
    choice.
    """
    wanted = tuple(dict.fromkeys(job.capabilities))
    if not wanted:
        return NoChoice(
            job.task, "The job names no capability, so nobody can be matched to it.", hopeless=True
        )
    best = _search(index, job, wanted, now, job.not_by | job.tried)
    if best.standing is None and job.tried:
        best = _search(index, job, wanted, now, job.not_by)
    if best.standing is None:
        return _why_nobody(index, job, wanted)
    return _choice(job, wanted, best, best.standing, now)


def _search(
    index: AgentIndex, job: Job, wanted: tuple[str, ...], now: float, without: frozenset[str]
) -> _Best:
    best = _Best()
    places = (job.place, None) if job.place else (None,)
    left = MOST_LOOKED
    for place in places:
        for level in range(LEVELS):
            left = _search_order(index, job, wanted, (level, place), now, without, best, left)
    return best


def _search_order(
    index: AgentIndex,
    job: Job,
    wanted: tuple[str, ...],
    where: tuple[int, str | None],
    now: float,
    without: frozenset[str],
    best: _Best,
    left: int,
) -> int:
    """Look at agents of one load and place, best first; returns how many more may be looked at."""
    level, place = where
    extra = _extra(index.policy, level, place is not None)
    rarest = min((index.order(one, level, place) for one in wanted), key=len)
    for minus_worth, agent in rarest:
        if best.is_out_of_reach(extra - minus_worth, agent) or (left <= 0 and best.standing):
            break
        left -= 1
        standing = index.standing(agent)
        if agent not in without and all(one in standing.merit for one in wanted):
            best.offer(_score(index.policy, standing, job, wanted, now), standing)
    return left


def _extra(policy: Policy, level: int, local: bool) -> float:
    return (policy.local if local else 0.0) - policy.load * level / LEVELS


def _score(policy: Policy, standing: Standing, job: Job, wanted: tuple[str, ...], now: float) -> float:
    least = min(worth(standing, one, policy) for one in wanted)
    score = _extra(policy, standing.level or 0, _is_local(standing.agent, job)) + least
    return score - policy.late if _is_late(standing.agent, job, now) else score


def _is_local(agent: Agent, job: Job) -> bool:
    return bool(job.place) and agent.place == job.place


def _is_late(agent: Agent, job: Job, now: float) -> bool:
    return job.deadline is not None and now + agent.seconds > job.deadline


def _choice(job: Job, wanted: tuple[str, ...], best: _Best, standing: Standing, now: float) -> Choice:
    agent = standing.agent
    weakest = min(wanted, key=lambda one: standing.merit[one])
    record = agent.record(weakest)
    return Choice(
        job.task,
        agent.id,
        best.score,
        standing.means[weakest],
        agent.load,
        agent.capacity,
        record.wins,
        record.tries,
        agent.cost,
        _is_local(agent, job),
        _is_late(agent, job, now),
        agent.id in job.tried,
    )


def _why_nobody(index: AgentIndex, job: Job, wanted: tuple[str, ...]) -> NoChoice:
    """Slow, but only where there is nobody: says what is missing."""
    able = [agent for agent in index.agents() if all(one in agent.capabilities for one in wanted)]
    skills = " and ".join(repr(one) for one in wanted)
    if not able:
        return NoChoice(job.task, f"No agent offers {skills}.", hopeless=True)
    allowed = [agent for agent in able if agent.id not in job.not_by]
    if not allowed:
        why = f"All who offer {skills} took part in the work ({len(able)}); somebody else has to do this."
        return NoChoice(job.task, why, hopeless=True)
    away = sum(not agent.available for agent in allowed)
    return NoChoice(job.task, f"All {len(allowed)} who offer {skills} are busy or away ({away} away).")
