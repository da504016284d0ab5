"""What happened to work items, tasks and approvals."""

from dataclasses import dataclass

from bullpen.domain.events import Event


@dataclass(frozen=True, slots=True)
class ItemProposed(Event):
    """A generator made an item. ``recipe`` is empty where none covers the rule."""

    item_id: str
    title: str
    rule: str
    path: str
    severity: int
    score: float
    quality: float
    recipe: str = ""
    state: str = "proposed"
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemMoved(Event):
    """An item's state changed."""

    item_id: str
    state: str
    by: str
    reason: str = ""
    change: str = ""


@dataclass(frozen=True, slots=True)
class ItemCommented(Event):
    """Somebody said something about an item."""

    item_id: str
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class ItemAssigned(Event):
    """An item has another owner."""

    item_id: str
    owner: str
    by: str


@dataclass(frozen=True, slots=True)
class ItemLabelled(Event):
    """An item's labels are now these."""

    item_id: str
    labels: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class TaskAdded(Event):
    """A node joined the task tree. ``position`` is its place among its siblings; -1 where an older version did not tell."""

    task_id: str
    parent: str
    title: str
    kind: str
    role: str
    complexity: float
    depends_on: tuple[str, ...]
    item_id: str = ""
    position: int = -1
    capabilities: tuple[str, ...] = ()
    acceptance: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskMoved(Event):
    """A task's state changed; ``note`` says what is being done or why it ended."""

    task_id: str
    state: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class TaskReassigned(Event):
    """A waiting task was given to another role."""

    task_id: str
    role: str


@dataclass(frozen=True, slots=True)
class TaskReordered(Event):
    """A waiting task has another place among its siblings."""

    task_id: str
    position: int


@dataclass(frozen=True, slots=True)
class DependencyBroken(Event):
    """A cycle between items was cut, and why there."""

    item_id: str
    no_longer_after: str
    reason: str


@dataclass(frozen=True, slots=True)
class ApprovalAsked(Event):
    """A person must decide before something is done."""

    approval_id: str
    subject: str
    risk: str
    reason: str
    deadline: float


@dataclass(frozen=True, slots=True)
class ApprovalAnswered(Event):
    """Approved, denied, or timed out (which is a denial)."""

    approval_id: str
    answer: str
    by: str
