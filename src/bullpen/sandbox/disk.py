"""Hold a command to the disk space it may use in its writable places.

Asking a file system for its free space costs a microsecond, walking a tree milliseconds. So the free space is asked
often, and the places are walked only when it has shrunk by as much as the command may still write, and now and then.
What no walk can see (files without a name that are still open) ends the command only when the disk is about to be full.
"""

import asyncio
import contextlib
import errno
import operator
import os
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bullpen.sandbox.base import MEBIBYTE, Command, End
from bullpen.sandbox.changes import Mark
from bullpen.sandbox.stop import Stop

_TICK_SECONDS = 0.05
_WALK_SECONDS = 5.0
_WALK_SHARE = 20  # a walk may take one part in so many of the time
_BLOCK = 512  # unit of st_blocks, whatever the file system's own
_LEAST = 4096  # an empty file uses up something too
_KEPT_FREE = 256 * MEBIBYTE
_CLOCK_NS = 1_000_000_000  # file systems stamp with a coarser clock than ours


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of the disk a command takes: what was there is told by inode with its size, and by change time.

    ``free`` is what each place's file system had free at the start.
    """

    places: tuple[Path, ...]
    limit: int
    known: Mapping[int, int]
    since_ns: int
    free: tuple[int, ...]

    def written(self) -> int:
        """Bytes that what was written since takes, beyond what those files had before; stops counting at the limit."""
        total = 0
        seen: set[tuple[int, int]] = set()
        try:
            for state in self._touched():
                if (mark := (state.st_dev, state.st_ino)) not in seen:
                    seen.add(mark)
                    total += self._growth(state)
                if total > self.limit:
                    break
        except _TooDeepError:
            return self.limit + 1
        return total

    def exceeded(self, after: Iterable[Mark]) -> bool:
        """Whether that is more than it may be; only looked into where the disk has become much fuller, or the workspace.

        ``after`` is a scan of it. The disk alone tells too little: others free space on it meanwhile.
        """
        shrunk = max(map(operator.sub, self.free, _free(self.places)), default=0)
        grown = sum(size for _, size, changed in after if changed >= self.since_ns)
        return max(shrunk, grown) > self.limit // 2 and self.written() > self.limit

    def _growth(self, state: os.stat_result) -> int:
        return max(0, max(state.st_blocks * _BLOCK, _LEAST) - self.known.get(state.st_ino, 0))

    def _touched(self) -> Iterator[os.stat_result]:
        folders = list(map(os.fspath, self.places))
        while folders:
            for state, path in _entries(folders.pop()):
                if state.st_ctime_ns >= self.since_ns:
                    yield state
                if path:
                    folders.append(path)


class _TooDeepError(Exception):
    """A path longer than the kernel takes: nobody makes one but to hide what is below."""


@contextlib.asynccontextmanager
async def watch_disk(command: Command, before: Mapping[str, Mark], stop: Stop) -> AsyncGenerator[Usage]:
    """While in here, ``stop`` is asked when the command takes more disk than it may. ``before`` is a scan of its workspace."""
    places = writable_places(command)
    known = {inode: size for inode, size, _ in before.values()}
    usage = Usage(places, command.limits.disk_bytes, known, time.time_ns() - _CLOCK_NS, _free(places))
    watcher = asyncio.create_task(_watch(usage, stop))
    try:
        yield usage
    finally:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher


def writable_places(command: Command) -> tuple[Path, ...]:
    """Folders and files of the host that the command may write."""
    mounts = [mount.source for mount in command.mounts if mount.writable]
    return (
        *((command.workspace,) if command.workspace and command.workspace_writable else ()),
        *mounts,
    )


async def _watch(usage: Usage, stop: Stop) -> None:
    if not usage.places:
        return
    floor = [min(_KEPT_FREE, free // 2) for free in usage.free]
    walked, left, pause, last = usage.free, usage.limit, _WALK_SECONDS, time.monotonic()
    while not stop.reason:
        await asyncio.sleep(_TICK_SECONDS)
        free = _free(usage.places)
        if any(now < least for now, least in zip(free, floor, strict=True)):
            stop.ask(End.DISK)
        shrunk = max(map(operator.sub, walked, free))
        if shrunk > left // 2 or time.monotonic() - last > pause:
            begun = time.monotonic()
            left = usage.limit - await asyncio.to_thread(usage.written)
            last = time.monotonic()
            walked, pause = free, max(_WALK_SECONDS, _WALK_SHARE * (last - begun))
            if left < 0:
                stop.ask(End.DISK)


def _free(places: Sequence[Path]) -> tuple[int, ...]:
    states = map(os.statvfs, places)
    return tuple(state.f_bavail * state.f_frsize for state in states)


def _entries(folder: str) -> Iterator[tuple[os.stat_result, str]]:
    """(state, path if it is a folder) of each entry; of a file that stands for itself, its own."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # it has gone meanwhile
                    state = entry.stat(follow_symlinks=False)
                    yield state, entry.path if entry.is_dir(follow_symlinks=False) else ""
    except NotADirectoryError:
        yield Path(folder).lstat(), ""
    except OSError as error:  # not readable for us, or gone
        if error.errno == errno.ENAMETOOLONG:
            raise _TooDeepError from error
