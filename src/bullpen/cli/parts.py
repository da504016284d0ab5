"""Steps of workflows and jobs of pipelines, as tasks of the view."""

from dataclasses import replace

from bullpen.domain.events import Event
from bullpen.domain.events.pipelines import PipelineJobEnded, PipelineJobStarted, PipelineStarted
from bullpen.domain.events.workflows import (
    WorkflowEnded,
    WorkflowSentBack,
    WorkflowStarted,
    WorkflowStepEnded,
    WorkflowStepStarted,
    WorkflowSuspended,
)
from bullpen.domain.ids import TaskId
from bullpen.domain.task import TaskNode, TaskState

STEP, JOB = "step", "job"
ASLEEP = "waits"
_ENDS = {
    "done": TaskState.DONE,
    "passed": TaskState.DONE,
    "partial": TaskState.DONE,
    "failed": TaskState.FAILED,
    "skipped": TaskState.SKIPPED,
    "not run": TaskState.SKIPPED,
    "waiting": TaskState.WAITING,
}


def apply_part(tasks: dict[TaskId, TaskNode], event: Event, at: float) -> bool:
    """Change the tasks by an event of a workflow or a pipeline; whether it was one that begins such a run."""
    match event:
        case WorkflowStarted(steps=names):
            _add(tasks, STEP, names)
        case PipelineStarted(jobs=names):
            _add(tasks, JOB, names)
        case _:
            _move(tasks, event, at)
            return False
    return True


def _add(tasks: dict[TaskId, TaskNode], kind: str, names: tuple[str, ...]) -> None:
    """What was done before a run was taken up again stays so; the rest is open."""
    for name in names:
        known = tasks.get(_id(kind, name))
        if known is None or known.state is not TaskState.DONE:
            node = TaskNode(_id(kind, name), None, name, kind, "", position=len(tasks))
            tasks[node.id] = node if known is None else replace(node, position=known.position)


def _move(tasks: dict[TaskId, TaskNode], event: Event, at: float) -> None:
    match event:
        case WorkflowStepStarted(step=name, undo=undo):
            _begin(tasks, _id(STEP, name), at, "is taken back" if undo else "")
        case PipelineJobStarted(job=name):
            _begin(tasks, _id(JOB, name), at, "")
        case WorkflowSuspended(step=name):
            _sleep(
                tasks, _id(STEP, name.split("/", 1)[0])
            )  # of a step of a child, the step that runs the child
        case WorkflowEnded():
            for known in [one for one in tasks.values() if one.kind == STEP and not one.state.is_final]:
                _end(tasks, known.id, TaskState.SKIPPED, at, "")
        case _:
            _ended(tasks, event, at)


def _ended(tasks: dict[TaskId, TaskNode], event: Event, at: float) -> None:
    match event:
        case WorkflowStepEnded(step=name, undo=True):
            _end(tasks, _id(STEP, name), TaskState.CANCELLED, at, "taken back")
        case WorkflowStepEnded(step=name, state=state, reason=reason):
            _end(tasks, _id(STEP, name), _ENDS[state], at, reason)
        case WorkflowSentBack(step=name, to=to):
            _end(tasks, _id(STEP, name), TaskState.FAILED, at, f"sent back to {to}")
        case PipelineJobEnded(job=name, state=state, reason=reason):
            _end(tasks, _id(JOB, name), _ENDS[state], at, reason or ("" if state == "passed" else state))
        case _:
            pass


def _begin(tasks: dict[TaskId, TaskNode], key: TaskId, at: float, note: str) -> None:
    if key in tasks:
        running = replace(tasks[key], state=TaskState.RUNNING, started_at=at, ended_at=0.0, note=note)
        tasks[key] = running


def _end(tasks: dict[TaskId, TaskNode], key: TaskId, state: TaskState, at: float, note: str) -> None:
    if key in tasks:
        ended = at if state.is_final else 0.0
        note = note or (ASLEEP if state is TaskState.WAITING else "")
        tasks[key] = replace(tasks[key], state=state, ended_at=ended, note=note)


def _sleep(tasks: dict[TaskId, TaskNode], key: TaskId) -> None:
    if key in tasks:
        tasks[key] = replace(tasks[key], state=TaskState.WAITING, note=ASLEEP, ended_at=0.0)


def _id(kind: str, name: str) -> TaskId:
    return TaskId(f"{kind}:{name}")
