"""In which order waiting jobs are served.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996), first among organizations, then among the sessions of
one: whoever has used least for its weight is next. Priority and deadline order the jobs of one session, so nobody gets
ahead of other people's work by calling all of their own urgent.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bullpen.flow.schedule.base import Job


@dataclass(frozen=True, slots=True)
class Usage:
    """What has been used so far, in any one unit (seconds of agents, say), and what share each is entitled to.

    Who is not named has used nothing and has weight 1. Weights of zero and less count as very small.
    """

    organizations: Mapping[str, float] = field(default_factory=dict[str, float])
    sessions: Mapping[str, float] = field(default_factory=dict[str, float])
    weights: Mapping[str, float] = field(default_factory=dict[str, float])

    def weight(self, name: str) -> float:
        """The share an organization or session is entitled to."""
        return max(self.weights.get(name, 1.0), 1e-6)


NOTHING_USED = Usage()


def fair_order(jobs: Iterable[Job], usage: Usage = NOTHING_USED, each: float = 1.0) -> list[Job]:
    """All jobs in the order in which they are served; ``each`` is what one is taken to use, in the unit of usage.

    The order in which the jobs are given does not matter.
    """
    by_organization: dict[str, dict[str, list[Job]]] = {}
    for job in jobs:
        by_organization.setdefault(job.organization, {}).setdefault(job.session, []).append(job)
    merged = {
        name: _merge(
            {s: sorted(own, key=urgency) for s, own in sessions.items()}, usage.sessions, usage, each
        )
        for name, sessions in by_organization.items()
    }
    return _merge(merged, usage.organizations, usage, each)


def urgency(job: Job) -> tuple[int, float, float, str]:
    """Sorts jobs of one session: priority, deadline, time of submission, id."""
    deadline = float("inf") if job.deadline is None else job.deadline
    return -job.priority, deadline, job.submitted_at, job.task


def _merge(
    queues: Mapping[str, Sequence[Job]], used: Mapping[str, float], usage: Usage, each: float
) -> list[Job]:
    """One queue of many: always from whoever has used least for its weight."""
    heap = [(used.get(name, 0.0) / usage.weight(name), name, 0) for name in queues]
    heapq.heapify(heap)
    order: list[Job] = []
    while heap:
        share, name, place = heap[0]
        order.append(queues[name][place])
        if place + 1 < len(queues[name]):
            heapq.heapreplace(heap, (share + each / usage.weight(name), name, place + 1))
        else:
            heapq.heappop(heap)
    return order
