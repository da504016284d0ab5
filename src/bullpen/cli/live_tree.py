"""Draw a session as it goes: a header, the tree of what is worked on, and what the personas say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.text import Text

from bullpen.cli.output import counted, duration, printable
from bullpen.cli.progress import Progress, seconds_left, share_done, work_tasks
from bullpen.domain.money import Money
from bullpen.domain.session import Stage
from bullpen.domain.task import TaskNode, TaskState

_STAGES = {
    Stage.INITIALIZE: "copying the repository",
    Stage.PLANNING: "preparing the project's environment",
    Stage.ANALYSIS: "running the project's tests and the analysers",
    Stage.DESIGN: "ordering the work",
    Stage.IMPLEMENTATION: "changing the code",
    Stage.TESTING: "testing the branch",
    Stage.VALIDATION: "handing over",
}
STYLES = {
    TaskState.RUNNING: "bold yellow",
    TaskState.DONE: "green",
    TaskState.FAILED: "red",
    TaskState.SKIPPED: "dim",
    TaskState.CANCELLED: "dim",
    TaskState.WAITING: "",
}
_MOST_WORDS = 3  # personas shown at a time
_MOST_NEXT = 3  # waiting items that are named
_BAR = 24


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Marks that mean the same without colour."""

    states: tuple[tuple[TaskState, str], ...]
    branch: str
    last: str
    stem: str
    full: str
    empty: str

    def of(self, state: TaskState) -> str:
        """The mark of a state."""
        return dict(self.states)[state]


UNICODE = Glyphs(
    (
        (TaskState.RUNNING, "▶"),
        (TaskState.DONE, "✓"),
        (TaskState.FAILED, "✗"),
        (TaskState.SKIPPED, "–"),
        (TaskState.CANCELLED, "⊘"),
        (TaskState.WAITING, "○"),
    ),
    "├─ ",
    "└─ ",
    "│  ",
    "█",
    "░",
)
ASCII = Glyphs(
    (
        (TaskState.RUNNING, ">"),
        (TaskState.DONE, "+"),
        (TaskState.FAILED, "x"),
        (TaskState.SKIPPED, "-"),
        (TaskState.CANCELLED, "/"),
        (TaskState.WAITING, "o"),
    ),
    "|- ",
    "`- ",
    "|  ",
    "#",
    ".",
)


@dataclass(frozen=True, slots=True)
class Frame:
    """What a drawing must fit: lines of the terminal, the moment, and when this run began."""

    height: int
    now: float
    began: float
    glyphs: Glyphs = UNICODE


def draw(state: Progress, frame: Frame) -> Group:
    """The whole view, never higher than the frame."""
    head = [_title(state, frame), _bar(state, frame)]
    words = _words(state, frame)
    room = max(1, frame.height - len(head) - len(words) - 1)
    lines = [*head, *_tree(state, frame, room), *words][: max(1, frame.height - 1)]
    for line in lines:
        line.no_wrap = True
        line.overflow = "ellipsis"
    return Group(*lines)


def _title(state: Progress, frame: Frame) -> Text:
    line = Text()
    name = state.project.rstrip("/").rsplit("/", 1)[-1]
    line.append(printable(name) or "session", "bold")
    if state.base:
        where = printable(state.base_branch) or "HEAD"
        line.append(f" {where}@{state.base[:7]}", "dim")
    line.append(f"  {state.stage.value}", "cyan")
    line.append(f"  {duration(frame.now - frame.began)}")
    line.append(f"  {Money(state.cost_micro_usd)}", "dim")
    if state.paused:
        line.append("  paused", "bold magenta")
    return line


def _bar(state: Progress, frame: Frame) -> Text:
    tasks = work_tasks(state)
    if not tasks:
        found = f" ({counted(roast.findings, 'finding')})" if (roast := state.roasts.get("before")) else ""
        return Text(f"{_STAGES.get(state.stage, state.stage.value)}{found}", "dim")
    ended = sum(task.state.is_final for task in tasks)
    full = round(share_done(state) * _BAR)
    line = Text()
    line.append(frame.glyphs.full * full, "green")
    line.append(frame.glyphs.empty * (_BAR - full), "dim")
    line.append(f" {ended}/{len(tasks)} {tasks[0].kind}s")
    left = seconds_left(state, frame.now)
    if left is not None:
        line.append(f", about {duration(left)} left", "dim")
    elif ended == len(tasks) and tasks[0].kind == "item":
        line.append(f", {_STAGES.get(state.stage, state.stage.value)}", "dim")
    return line


def _tree(state: Progress, frame: Frame, room: int) -> list[Text]:
    """What runs and what is done for it, what waits for a reason, what is next, the newest that ended, then counts."""
    tasks = work_tasks(state)
    if not tasks:
        return []
    running = [task for task in tasks if task.state is TaskState.RUNNING]
    waiting = [task for task in tasks if task.state is TaskState.WAITING]
    asleep = [task for task in waiting if task.note]
    following = [task for task in waiting if not task.note and task.kind == "item"][:_MOST_NEXT]
    ended = sorted((task for task in tasks if task.state.is_final), key=lambda task: -task.ended_at)
    lines: list[Text] = []
    shown: set[str] = set()
    for task in (*running, *asleep, *following, *ended):
        block = _block(state, task, frame)
        if len(lines) + len(block) > room - 1:
            break
        lines.extend(block)
        shown.add(task.id)
    lines.append(_rest([task for task in tasks if task.id not in shown], frame))
    return lines


def _block(state: Progress, task: TaskNode, frame: Frame) -> list[Text]:
    glyphs = frame.glyphs
    line = Text(glyphs.branch, "dim")
    line.append(f"{glyphs.of(task.state)} ", STYLES[task.state])
    line.append(printable(task.title), "bold" if task.state is TaskState.RUNNING else "")
    end = task.ended_at or frame.now
    if task.started_at and task.state is not TaskState.WAITING:
        line.append(f"  {duration(end - max(task.started_at, min(frame.began, end)))}", "dim")
    if task.note and task.state is not TaskState.RUNNING:
        line.append(f"  {printable(task.note)}", "dim")
    return [line, *_phases(state, task, frame)]


def _phases(state: Progress, item: TaskNode, frame: Frame) -> Iterator[Text]:
    if item.state is not TaskState.RUNNING:
        return
    active = [
        task
        for task in state.tasks.values()
        if task.parent == item.id and (task.state is TaskState.RUNNING or task.id in state.doing)
    ]
    for task in active:
        line = Text(frame.glyphs.stem + frame.glyphs.last, "dim")
        words = state.doing.get(task.id) or f"{task.role}: {task.title}"
        line.append(printable(words))
        if task.note:
            why = task.note.removeprefix(f"{task.role}: ")  # the sentence of the choice begins with who it is
            line.append(f"  {printable(why)}", "dim")
        yield line


def _rest(tasks: Sequence[TaskNode], frame: Frame) -> Text:
    line = Text(frame.glyphs.last, "dim")
    parts = [
        f"{frame.glyphs.of(state)} {number} {state.value}"
        for state in TaskState
        if (number := sum(task.state is state for task in tasks))
    ]
    line.append(" · ".join(parts) if parts else "nothing waits", "dim")
    return line


def _words(state: Progress, frame: Frame) -> list[Text]:
    """The newest personas' words, as long as there is room for them."""
    if frame.height < 12:
        return []
    lines: list[Text] = []
    for spoke in state.personas[-_MOST_WORDS:]:
        line = Text(f"{printable(spoke.persona)} ", "magenta")
        line.append(f"({counted(spoke.findings, 'finding')}) ", "dim")
        line.append(printable(spoke.words), "italic")
        lines.append(line)
    return lines
