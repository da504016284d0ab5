"""The final report of a team: what was done, what was not and why, who did it, what was decided."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.domain.task import TaskState
from bullpen.flow.schedule.intents import Overlap
from bullpen.flow.teams.base import Conclusion, Kept, TeamReport, TeamTask
from bullpen.flow.teams.queries import Attempt, AttemptState

MOST_LINES = 40
_TRIED = (AttemptState.DONE, AttemptState.FAILED, AttemptState.AGAIN, AttemptState.LOST)


def report_on(
    session: SessionId,
    state: TaskState,
    reason: str,
    conclusion: Conclusion,
    tasks: Sequence[TeamTask],
    kept: Mapping[TaskId, Kept],
    attempts: Sequence[Attempt],
    asked: Mapping[TaskId, Overlap],
) -> TeamReport:
    """Put the report together."""
    tries = Counter(one.task for one in attempts if one.state in _TRIED)
    order = [one.id for one in tasks if one.id in kept]
    titles = {one.id: one.node.title for one in tasks}
    return TeamReport(
        session,
        state,
        reason,
        conclusion,
        tuple(name for name in order if kept[name].done),
        tuple(name for name in order if not kept[name].done),
        tuple(name for name in order if tries[name] > 1),
        Money(sum(one.cost.micro_usd for one in attempts)),
        sum(max(0.0, one.ended_at - one.started_at) for one in attempts),
        tuple(_lines(conclusion, titles, kept, attempts, asked)),
    )


def _lines(
    conclusion: Conclusion,
    titles: Mapping[TaskId, str],
    kept: Mapping[TaskId, Kept],
    attempts: Sequence[Attempt],
    asked: Mapping[TaskId, Overlap],
) -> Iterator[str]:
    yield conclusion.summary
    yield from (f"Decision: {one.reason}" for _, one in conclusion.decisions)
    yield from (f"Conflict: {one.reason}" for one in conclusion.resolutions)
    yield from (f"A person must decide: {one.reason}" for one in asked.values())
    lost = [one for one in kept.values() if not one.done]
    yield from (
        f"Not done: {titles[one.task]}: {one.summary or one.state.value}" for one in lost[:MOST_LINES]
    )
    if len(lost) > MOST_LINES:
        yield f"Not done: {len(lost) - MOST_LINES} more."
    by_agent = Counter(one.agent for one in attempts if one.state is AttemptState.DONE)
    yield from (f"{agent}: {count} done" for agent, count in sorted(by_agent.items())[:MOST_LINES])
    if len(by_agent) > MOST_LINES:
        yield f"And {len(by_agent) - MOST_LINES} agents more."
    others = Counter(one.state for one in attempts if one.state is not AttemptState.DONE)
    yield from (f"{count} attempts {state.value}" for state, count in sorted(others.items()))
