"""Jobs that agents work on: whose answer counts, who is too late, who is overtaken, who gets a second runner.

Every attempt has a number that only grows (a fencing token): an answer counts if it is of an attempt that runs. So a
second answer, an answer after the deadline and an answer to a job taken away are all told apart without a clock.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bullpen.domain.ids import TaskId
from bullpen.flow.schedule.base import Job


@dataclass(frozen=True, slots=True)
class Running:
    """A job with an agent. ``lease_until`` is when it must have answered; ``kept`` names what it has saved so far.

    ``kind`` is what its durations are compared by. ``resumable`` jobs go on from ``kept`` when they are taken up again.
    """

    job: Job
    agent: str
    attempt: int
    started_at: float
    lease_until: float
    kind: str = ""
    resumable: bool = False
    kept: str = ""
    speculative: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent hands in."""

    task: TaskId
    agent: str
    attempt: int
    won: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer that counts, and the other runners of the same job, which are to be stopped."""

    answer: Answer
    stop: tuple[Running, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """An answer that changes nothing, and why."""

    answer: Answer
    reason: str


def accept(running: Sequence[Running], answer: Answer, now: float) -> Accepted | Ignored:
    """Whether an answer counts. A success stops the job's other runners; a failure leaves them running."""
    mine = [one for one in running if one.job.task == answer.task]
    told = next((one for one in mine if (one.agent, one.attempt) == (answer.agent, answer.attempt)), None)
    if not mine:
        return Ignored(
            answer, f"{answer.task} is not running: it was answered before, taken away, or never given."
        )
    if told is None:
        return Ignored(answer, f"{answer.agent} does not hold attempt {answer.attempt} of {answer.task}.")
    if now > told.lease_until:
        return Ignored(
            answer, f"{answer.agent} answered {now - told.lease_until:.0f} s after its time was up."
        )
    others = tuple(one for one in mine if one is not told) if answer.won else ()
    return Accepted(answer, others)


def overdue(running: Iterable[Running], now: float) -> list[Running]:
    """Those whose time is up: the job is failed for this agent, and tried on another."""
    return [one for one in running if now > one.lease_until]


@dataclass(frozen=True, slots=True)
class Retry:
    """A job to be tried again: not before ``at``, on an agent that has not failed at it where there is one."""

    job: Job
    at: float


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A job that is not tried again, and why."""

    job: Job
    reason: str


def after_failure(job: Job, agent: str, now: float, most: int = 3, pause: float = 1.0) -> Retry | GivenUp:
    """What follows a failed attempt: again on another agent after a pause that doubles, up to ``most`` attempts."""
    attempts = job.attempts + 1
    if attempts >= most:
        return GivenUp(
            job, f"{job.task} failed {attempts} times, last with {agent}; {most} attempts are allowed."
        )
    again = replace(job, attempts=attempts, tried=job.tried | {agent})
    return Retry(again, now + pause * 2.0 ** min(job.attempts, 16))


@dataclass(frozen=True, slots=True)
class Preemption:
    """``victim`` gives way to ``job``. ``waits`` is the victim's job as it waits on: no attempt is counted against it."""

    job: Job
    victim: Running
    waits: Job
    reason: str


def preempt(
    job: Job, running: Iterable[Running], able: frozenset[str], over_share: frozenset[str] = frozenset()
) -> Preemption | None:
    """Who gives way to an urgent job that found nobody free; None if nobody has to.

    Only a resumable job of lower priority gives way, so nothing done is lost: of the same organization, or of one
    that uses more than its share (``over_share``). ``able`` are agents that could do the job. Among several: lowest
    priority, then started last.
    """
    candidates = [
        one
        for one in running
        if one.resumable
        and one.agent in able - job.not_by
        and one.job.priority < job.priority
        and (one.job.organization == job.organization or one.job.organization in over_share)
    ]
    if not candidates:
        return None
    victim = min(candidates, key=lambda one: (one.job.priority, -one.started_at, one.job.task, one.attempt))
    reason = (
        f"{victim.job.task} (priority {victim.job.priority}) gives way on {victim.agent} to {job.task} "
        f"(priority {job.priority}) and goes on later from {victim.kept or 'its start'}"
    )
    return Preemption(job, victim, victim.job, reason)


@dataclass(frozen=True, slots=True)
class Straggler:
    """A job that takes too long: ``job`` is its second run, not by the agent that has it."""

    running: Running
    job: Job
    reason: str


def stragglers(
    running: Sequence[Running],
    durations: Mapping[str, Sequence[float]],
    now: float,
    free_places: int,
    slower: float = 2.0,
    least: int = 5,
    share: float = 0.1,
) -> list[Straggler]:
    """Second runs worth starting, the longest over its time first.

    As in LATE (Zaharia and others, OSDI 2008): only with free places, for at most ``share`` of what runs (but one may
    always), never a third run. A job is late when it has taken ``slower`` times the upper quartile of at least
    ``least`` finished ones of its kind.
    """
    twice = {one.job.task for one in running if one.speculative}
    usual = {kind: _upper_quartile(taken) for kind, taken in durations.items() if len(taken) >= max(2, least)}
    late = [
        (now - one.started_at - slower * usual[one.kind], one)
        for one in running
        if one.kind in usual and one.job.task not in twice and now - one.started_at > slower * usual[one.kind]
    ]
    most = min(free_places, max(1, int(share * len(running))) - len(twice))
    chosen = sorted(late, key=lambda pair: (-pair[0], pair[1].job.task))[: max(0, most)]
    return [_second_run(one, now, usual[one.kind]) for _, one in chosen]


def _upper_quartile(taken: Sequence[float]) -> float:
    return statistics.quantiles(taken, n=4, method="inclusive")[2]


def _second_run(running: Running, now: float, usual: float) -> Straggler:
    taken = now - running.started_at
    reason = f"{running.job.task} has taken {taken:.0f} s with {running.agent}; three of four end within {usual:.0f} s"
    second = replace(running.job, not_by=running.job.not_by | {running.agent})
    return Straggler(running, second, reason)


def lease(
    seconds: float, deadline: float | None, now: float, slack: float = 4.0, least: float = 60.0
) -> float:
    """Until when an agent must answer: ``slack`` times what it usually takes, but not beyond the job's deadline."""
    until = now + max(least, slack * seconds)
    return until if deadline is None else max(now, min(until, deadline))
