"""The files a team works on: each attempt has a copy of its own, and what it changed is put back if nobody was faster.

An attempt that dies leaves nothing behind. Where two changed the same file, the one that landed stays and the other is
done again upon it.
"""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from bullpen.flow.consensus.conflicts import Conflict, ConflictKind, Side
from bullpen.flow.consensus.resolve import Resolution, resolve
from bullpen.tools.workspace import read_bytes, remove, walk, write_bytes

GIVES_WAY = "it gives way"  # the message an attempt is cancelled with that goes on later
GONE = ""  # the digest of a file that is not there


@dataclass(frozen=True, slots=True)
class Copy:
    """A folder for one attempt, and digests of what was in it at first, by path."""

    folder: Path
    before: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Landed:
    """What was put back, by path, as digests; or, where somebody was faster, how that was resolved."""

    changes: Mapping[str, str]
    resolutions: tuple[Resolution, ...] = ()


@dataclass(slots=True)
class Desk:
    """The shared folder, and where copies of it are made. One process at a time uses it."""

    shared: Path
    scratch: Path
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _put_by: dict[str, Copy] = field(default_factory=dict[str, Copy])
    _by: dict[str, Side] = field(default_factory=dict[str, Side])

    @asynccontextmanager
    async def copied(self, task: str = "") -> AsyncGenerator[Copy]:
        """A copy of the shared files as they are now; it goes afterwards.

        Where an attempt at ``task`` gave way, its copy is put by, and the next attempt gets it as it was left.
        """
        copy = self._put_by.pop(task, None)
        if copy is None:
            async with self._turn:
                copy = await asyncio.to_thread(_copy, self.shared, self.scratch)
        try:
            yield copy
        except asyncio.CancelledError as cancelled:
            if task and cancelled.args == (GIVES_WAY,):
                self._put_by[task] = copy
            raise
        finally:
            if self._put_by.get(task) is not copy:
                await asyncio.to_thread(shutil.rmtree, copy.folder, ignore_errors=True)

    async def land(self, copy: Copy, task: str, agent: str) -> Landed:
        """Put back what changed in a copy: all of it, or nothing where it meets what another one landed meanwhile."""
        async with self._turn:
            changes = await asyncio.to_thread(_changes, copy)
            now = {path: _digest(self.shared, path) for path in changes}
            mine = Side(task, agent)
            met = [
                path
                for path, digest in changes.items()
                if now[path] not in (copy.before.get(path, GONE), digest)
            ]
            if met:
                return Landed({}, tuple(self._resolved(path, mine) for path in met))
            await asyncio.to_thread(_put_back, copy.folder, self.shared, changes)
            self._by.update(dict.fromkeys(changes, Side(task, agent, landed=True)))
            return Landed(changes)

    def _resolved(self, path: str, mine: Side) -> Resolution:
        other = self._by.get(path, Side("an earlier task", "", landed=True))
        return resolve(Conflict(ConflictKind.EDIT, path, (other, mine)))


def _copy(shared: Path, scratch: Path) -> Copy:
    folder = Path(mkdtemp(prefix="attempt-", dir=scratch))
    folder.chmod(0o755)
    before: dict[str, str] = {}
    for path in walk(shared):
        content = read_bytes(shared, path)
        write_bytes(folder, path, content)
        (folder / path).chmod((shared / path).stat().st_mode & 0o777)
        before[path] = hashlib.sha256(content).hexdigest()
    return Copy(folder, before)


def _changes(copy: Copy) -> dict[str, str]:
    after = {path: _digest(copy.folder, path) for path in walk(copy.folder)}
    paths = sorted(after.keys() | copy.before.keys())
    return {p: after.get(p, GONE) for p in paths if after.get(p, GONE) != copy.before.get(p, GONE)}


def _digest(root: Path, path: str) -> str:
    place = root / path
    if not place.is_file() or place.is_symlink():
        return GONE
    return hashlib.sha256(read_bytes(root, path)).hexdigest()


def _put_back(folder: Path, shared: Path, changes: Mapping[str, str]) -> None:
    for path, digest in changes.items():
        if digest == GONE:
            remove(shared, path)
        else:
            write_bytes(shared, path, read_bytes(folder, path))
