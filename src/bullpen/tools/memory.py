"""Records kept in memory: for tests, demonstrations and runs nobody needs to resume."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bullpen.domain.errors import NotFound
from bullpen.domain.events import Event
from bullpen.domain.ids import TaskId, derived_id
from bullpen.tools.workspace import read_bytes, remove, walk, write_bytes


@dataclass(slots=True)
class MemoryJournal:
    """See ``Journal``."""

    events: list[Event] = field(default_factory=list[Event])

    async def past(self, task_id: TaskId, attempt: int) -> Sequence[Event]:
        """See ``Journal.past``."""
        return [
            event
            for event in self.events
            if getattr(event, "task_id", None) == task_id and getattr(event, "attempt", None) == attempt
        ]

    async def append(self, *events: Event) -> None:
        """See ``Journal.append``."""
        self.events.extend(events)


@dataclass(slots=True)
class MemoryScratchpad:
    """See ``Scratchpad``."""

    variables: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, str] = field(default_factory=dict[str, str])

    async def read(self, name: str) -> str | None:
        """See ``Scratchpad.read``."""
        return self.variables.get(name)

    async def write(self, name: str, value: str) -> None:
        """See ``Scratchpad.write``."""
        self.variables[name] = value

    async def note_read(self, path: str, sha256: str) -> None:
        """See ``Scratchpad.note_read``."""
        self.files[path] = sha256

    async def is_stale(self, path: str, sha256: str) -> bool:
        """See ``Scratchpad.is_stale``."""
        return self.files.get(path, sha256) != sha256


class MemoryWorktree:
    """See ``Worktree``: whole contents of a small folder, kept by hash."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._trees: dict[str, dict[str, bytes]] = {}
        self._first = self._keep()

    def _keep(self) -> str:
        files = {path: read_bytes(self._root, path) for path in walk(self._root)}
        parts = [part for path, content in files.items() for part in (path, content.decode("latin-1"))]
        tree = derived_id("tree", *parts, length=16)
        self._trees[tree] = files
        return tree

    async def snapshot(self) -> str:
        """See ``Worktree.snapshot``."""
        return self._keep()

    async def restore(self, tree: str) -> None:
        """See ``Worktree.restore``."""
        files = self._trees.get(tree)
        if files is None:
            raise NotFound(f"There is no snapshot {tree!r}.")
        for path in set(walk(self._root)) - set(files):
            remove(self._root, path)
        for path, content in files.items():
            write_bytes(self._root, path, content)

    async def original(self, path: str) -> bytes | None:
        """See ``Worktree.original``."""
        return self._trees[self._first].get(path)
