"""Moving jobs that wait at a busy agent to one that is idle."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bullpen.flow.schedule.base import Agent, Choice, Job, Policy
from bullpen.flow.schedule.choose import choose
from bullpen.flow.schedule.index import AgentIndex


@dataclass(frozen=True, slots=True)
class Move:
    """A job that has not begun goes from one agent to another."""

    job: Job
    source: str
    target: str
    reason: str


def balance(
    agents: Iterable[Agent],
    queued: Mapping[str, tuple[Job, ...]],
    now: float,
    policy: Policy | None = None,
    worse: float = 0.1,
) -> list[Move]:
    """Jobs to move, so that nobody waits at one agent while another that does it about as well stands idle.

    ``queued`` are jobs an agent has been given and not begun, in its order; they are not in its load. The last in a
    queue moves first, from the longest queue for its capacity; never to an agent whose score is more than ``worse``
    below the one it waits for, and never twice in one call.
    """
    policy = policy or Policy()
    index = AgentIndex(agents, policy, now)
    waiting = {name: list(jobs) for name, jobs in queued.items() if jobs and name in index}
    moves: list[Move] = []
    while waiting:
        source = max(waiting, key=lambda name: (len(waiting[name]) / index.agent(name).capacity, name))
        job = waiting[source].pop()
        move = _move(index, job, source, now, worse)
        if move:
            target = index.agent(move.target)
            index.put(replace(target, load=target.load + 1), now)
            moves.append(move)
        if not waiting[source]:
            del waiting[source]
    return moves


def _move(index: AgentIndex, job: Job, source: str, now: float, worse: float) -> Move | None:
    holder = index.agent(source)
    choice = choose(index, replace(job, not_by=job.not_by | {source}), now)
    if not isinstance(choice, Choice) or choice.again:
        return None
    idle = AgentIndex([replace(holder, load=0, available=True)], index.policy, now)
    here = choose(idle, job, now)
    if isinstance(here, Choice) and choice.score < here.score - worse:
        return None
    return Move(job, source, choice.agent, f"{job.task} waits at {source}; {choice.reason}")
