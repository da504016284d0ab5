"""A group of tasks that runs side by side: when it may stop, whether it succeeded, and its final report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import TaskId
from bullpen.domain.money import Money
from bullpen.domain.task import TaskState
from bullpen.flow.trees.recompose import conflicts_among
from bullpen.flow.trees.results import ResultConflict, TaskResult

_LOST = (TaskState.FAILED, TaskState.SKIPPED, TaskState.CANCELLED)


class OnFailure(StrEnum):
    """What a failure of one does to the others."""

    FAIL_FAST = "fail-fast"  # the first failure ends the group
    BEST_EFFORT = "best-effort"  # all run to their end; what is done is taken
    QUORUM = "quorum"  # enough must be done; it ends when enough are, or when that cannot be reached


@dataclass(frozen=True, slots=True)
class GroupPolicy:
    """``share`` of the tasks must be done under a quorum; otherwise it is not read."""

    on_failure: OnFailure = OnFailure.BEST_EFFORT
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InvalidInput(f"A quorum is a share above 0 and at most 1, not {self.share}.")


@dataclass(frozen=True, slots=True)
class GroupStanding:
    """How a group stands: its state, the tasks to cancel now, and the reason in one sentence."""

    state: TaskState
    cancel: tuple[TaskId, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class GroupReport:
    """The end of a group. ``seconds`` is the sum of its tasks', not the time on the wall."""

    standing: GroupStanding
    done: tuple[TaskId, ...]
    lost: tuple[TaskResult, ...]
    conflicts: tuple[ResultConflict, ...]
    cost: Money
    seconds: float

    @property
    def lines(self) -> tuple[str, ...]:
        """The report in words."""
        lost = [f"{one.task} {one.state.value}: {one.note or 'no reason was given'}" for one in self.lost]
        clashes = [f"Conflict: {one}." for one in self.conflicts]
        summary = f"{len(self.done)} done, {len(self.lost)} not, {self.cost}, {self.seconds:.0f} s of work."
        return (self.standing.reason, summary, *lost, *clashes)


def stand(policy: GroupPolicy, results: Sequence[TaskResult]) -> GroupStanding:
    """How the group stands, one result for each task; those that have not ended have the state they are in."""
    states = [one.state for one in results]
    done, lost = states.count(TaskState.DONE), sum(state in _LOST for state in states)
    going = tuple(one.task for one in results if not one.state.is_final)
    needed = _needed(policy, len(results))
    if policy.on_failure is OnFailure.FAIL_FAST and lost:
        first = next(one for one in results if one.state in _LOST)
        why = f"{first.task} is {first.state.value}, and the first failure ends the group."
        return GroupStanding(TaskState.FAILED, going, why)
    if policy.on_failure is OnFailure.QUORUM and done >= needed:
        return GroupStanding(
            TaskState.DONE, going, f"{done} of {len(results)} are done, {needed} were needed."
        )
    if policy.on_failure is OnFailure.QUORUM and len(results) - lost < needed:
        why = f"{lost} of {len(results)} are lost, so the {needed} needed cannot be reached."
        return GroupStanding(TaskState.FAILED, going, why)
    if going:
        return GroupStanding(TaskState.RUNNING, (), f"{len(going)} of {len(results)} have not ended.")
    state = TaskState.DONE if done >= needed else TaskState.FAILED
    return GroupStanding(state, (), f"{done} of {len(results)} are done.")


def report(policy: GroupPolicy, results: Sequence[TaskResult]) -> GroupReport:
    """The final report of a group, or how it would read if it ended now."""
    done = [one for one in results if one.state is TaskState.DONE]
    return GroupReport(
        stand(policy, results),
        tuple(one.task for one in done),
        tuple(one for one in results if one.state in _LOST),
        tuple(conflicts_among(done)),
        Money(sum(one.cost.micro_usd for one in results)),
        sum(one.seconds for one in results),
    )


def _needed(policy: GroupPolicy, count: int) -> int:
    """How many must be done. Best effort is content with one, and a group of none has nothing to miss."""
    if policy.on_failure is OnFailure.QUORUM:
        return math.ceil(round(policy.share * count, 6))
    return count if policy.on_failure is OnFailure.FAIL_FAST else min(1, count)
