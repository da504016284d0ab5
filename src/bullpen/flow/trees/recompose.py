"""From the leaves upward: children's results become the parent's by a stated rule, and conflicts are shown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bullpen.domain.errors import InvalidInput
from bullpen.domain.ids import TaskId
from bullpen.domain.money import Money
from bullpen.domain.task import TaskNode, TaskState
from bullpen.flow.trees.results import ResultConflict, TaskResult
from bullpen.work.tree import task_order


class Rule(StrEnum):
    """When a parent counts as done."""

    ALL = "all"  # every child is done
    ANY = "any"  # one is done: they were alternatives, and the first of them in order is taken
    BEST_EFFORT = "best-effort"  # what is done is taken, be it little


@dataclass(frozen=True, slots=True)
class Composed:
    """A task's result with its children in it. A conflict leaves the task failed until somebody resolves it."""

    result: TaskResult
    rule: Rule
    conflicts: tuple[ResultConflict, ...]
    reason: str


def recompose(
    tasks: Sequence[TaskNode],
    results: Iterable[TaskResult],
    rule_of: Callable[[TaskNode], Rule] = lambda _task: Rule.ALL,
) -> dict[TaskId, Composed]:
    """Every task's result, made of its children's; a leaf without a result counts as in the state it has.

    Raises:
        InvalidInput: a result names no task of the tree, or a task has two.
    """
    nodes = {task.id: task for task in tasks}
    given = _by_task(results, nodes)
    children: dict[TaskId, list[TaskNode]] = {}
    for task in tasks:
        if task.parent is not None:
            children.setdefault(task.parent, []).append(task)
    found: dict[TaskId, Composed] = {}
    for name in task_order(tasks):
        below = sorted(children.get(name, ()), key=lambda one: (one.position, one.id))
        own = given.get(name, TaskResult(name, nodes[name].state))
        composed = [found[one.id] for one in below]
        found[name] = compose(own, composed, rule_of(nodes[name])) if below else _leaf(own)
    return found


def compose(own: TaskResult, children: Sequence[Composed], rule: Rule) -> Composed:
    """One parent. Its own changes count last, upon its children's: they are how it put them together."""
    done = [one.result for one in children if one.result.state is TaskState.DONE]
    taken = done[:1] if rule is Rule.ANY else done
    conflicts = tuple(one for one in conflicts_among(taken) if not _resolved(one, own))
    state, reason = _state(children, done, rule, conflicts)
    changes = {path: digest for one in taken for path, digest in one.changes.items()}
    says = {subject: words for one in taken for subject, words in one.says.items()}
    everything = [own, *(one.result for one in children)]
    result = TaskResult(
        own.task,
        state,
        {**changes, **own.changes},
        {**says, **own.says},
        own.note,
        Money(sum(one.cost.micro_usd for one in everything)),
        sum(one.seconds for one in everything),
    )
    return Composed(result, rule, conflicts, reason)


def conflicts_among(results: Sequence[TaskResult]) -> list[ResultConflict]:
    """Results that left other contents at one path, or say other things of one subject, each against the first."""
    found: list[ResultConflict] = []
    for kind in ("edit", "saying"):
        first: dict[str, tuple[TaskId, str]] = {}
        for result in results:
            facts = result.changes if kind == "edit" else result.says
            for subject, value in facts.items():
                task, before = first.setdefault(subject, (result.task, value))
                if before != value:
                    found.append(ResultConflict(kind, subject, (task, result.task)))
    return found


def _by_task(results: Iterable[TaskResult], nodes: Mapping[TaskId, TaskNode]) -> dict[TaskId, TaskResult]:
    given: dict[TaskId, TaskResult] = {}
    for result in results:
        if result.task not in nodes:
            raise InvalidInput(f"There is a result of {result.task}, which is not in the tree.")
        if result.task in given:
            raise InvalidInput(
                f"Task {result.task} has two results; which of them counts must be settled first."
            )
        given[result.task] = result
    return given


def _leaf(own: TaskResult) -> Composed:
    return Composed(own, Rule.ALL, (), own.note or f"It is {own.state.value}.")


def _resolved(conflict: ResultConflict, own: TaskResult) -> bool:
    """Whether the parent itself said what holds."""
    return conflict.subject in (own.changes if conflict.kind == "edit" else own.says)


def _state(
    children: Sequence[Composed],
    done: Sequence[TaskResult],
    rule: Rule,
    conflicts: Sequence[ResultConflict],
) -> tuple[TaskState, str]:
    running = [one.result.task for one in children if not one.result.state.is_final]
    if rule is Rule.ANY and done:
        return TaskState.DONE, f"{done[0].task} is done, and one suffices."
    if running:
        return TaskState.RUNNING, f"{len(running)} of {len(children)} children have not ended."
    if conflicts:
        return TaskState.FAILED, f"{'; '.join(map(str, conflicts[:3]))}: this must be resolved."
    enough = bool(done) if rule is not Rule.ALL else len(done) == len(children)
    missing = [one.result.task for one in children if one.result.state is not TaskState.DONE]
    named = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
    reason = f"{len(done)} of {len(children)} children are done{f'; not {named}' if missing else ''}."
    return (TaskState.DONE if enough else TaskState.FAILED), reason
