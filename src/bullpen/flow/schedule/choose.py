"""The best agent for one job.

The threshold algorithm of Fagin, Lotem and Naor ("Optimal aggregation algorithms for middleware", 2003): agents are
looked at from the best downward, and the search ends when nobody further down can be better.
"""

from dataclasses import dataclass

from bullpen.flow.schedule.base import Agent, Choice, Job, NoChoice, Policy
from bullpen.flow.schedule.index import LEVELS, AgentIndex, Standing

MOST_LOOKED = 100  # once somebody is found: who would do better is then far down, and a decision stays short


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


@dataclass(frozen=True, slots=True)
class _Wish:
    """Who is looked for: able to do all that is ``wanted``, and not one of ``without``."""

    job: Job
    wanted: tuple[str, ...]
    without: frozenset[str]
    now: float


def choose(index: AgentIndex, job: Job, now: float) -> Choice | NoChoice:
    """The agent with the best score for the job, or the reason why there is none.

    Agents that failed at the job are taken only if nobody else is free. The same index, job and time give the same
    choice. Where a deadline or several capabilities make agents incomparable by one order, the search ends after
    ``MOST_LOOKED`` of them with the best so far.
    """
    wanted = tuple(dict.fromkeys(job.capabilities))
    if not wanted:
        return NoChoice(
            job.task, "The job names no capability, so nobody can be matched to it.", hopeless=True
        )
    best = _search(index, _Wish(job, wanted, job.not_by | job.tried, now))
    if best.standing is None and job.tried:
        best = _search(index, _Wish(job, wanted, job.not_by, now))
    if best.standing is None:
        return _why_nobody(index, job, wanted)
    return _choice(job, wanted, best, best.standing, now)


def _search(index: AgentIndex, wish: _Wish) -> _Best:
    best = _Best()
    left = MOST_LOOKED
    for place in (wish.job.place, None) if wish.job.place else (None,):
        for level in range(LEVELS):
            left -= _search_order(index, wish, level, place, best, left)
    return best


def _search_order(
    index: AgentIndex, wish: _Wish, level: int, place: str | None, best: _Best, most: int
) -> int:
    """Look at agents of one load and place, best first, and offer them to ``best``; returns how many were looked at."""
    extra = _extra(index.policy, level, place is not None)
    rarest = min((index.order(one, level, place) for one in wish.wanted), key=len)
    looked = 0
    for minus_worth, agent in rarest:
        if best.is_out_of_reach(extra - minus_worth, agent) or (looked >= most and best.standing):
            break
        looked += 1
        standing = index.standing(agent)
        if agent not in wish.without and all(one in standing.worth for one in wish.wanted):
            best.offer(_score(index.policy, standing, wish), standing)
    return looked


def _extra(policy: Policy, level: int, local: bool) -> float:
    return (policy.local if local else 0.0) - policy.load * level / LEVELS


def _score(policy: Policy, standing: Standing, wish: _Wish) -> float:
    least = min(map(standing.worth.__getitem__, wish.wanted))
    score = _extra(policy, standing.level or 0, _is_local(standing.agent, wish.job)) + least
    return score - policy.late if _is_late(standing.agent, wish.job, wish.now) else score


def _is_local(agent: Agent, job: Job) -> bool:
    return bool(job.place) and agent.place == job.place


def _is_late(agent: Agent, job: Job, now: float) -> bool:
    return job.deadline is not None and now + agent.seconds > job.deadline


def _choice(job: Job, wanted: tuple[str, ...], best: _Best, standing: Standing, now: float) -> Choice:
    agent = standing.agent
    weakest = min(wanted, key=standing.worth.__getitem__)
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
