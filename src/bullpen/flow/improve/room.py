"""Room on the disk of a worker's home: one that has none left says so, hands on what it has, and waits for more."""

import errno
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bullpen.sandbox.base import MEBIBYTE

MOST_KEPT = 256 * MEBIBYTE
KEPT_SHARE = 20  # one part in so many of the disk is kept free, at most MOST_KEPT
_FULL = re.compile(r"no space left|disk quota|disk is full", re.IGNORECASE)
_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes of a file system: what anybody may still write, and its size."""

    free: int
    size: int

    @property
    def kept(self) -> int:
        """What must stay free, so that a running attempt finds the end before the disk does."""
        return min(MOST_KEPT, self.size // KEPT_SHARE)


def disk_of(place: Path) -> Disk:
    """The file system a folder is on, as it is now."""
    state = os.statvfs(place)
    return Disk(state.f_bavail * state.f_frsize, state.f_blocks * state.f_frsize)


def tells_of_full_disk(error: BaseException | str) -> bool:
    """Whether an error, or what was said of one, comes of a disk without space."""
    if isinstance(error, OSError) and error.errno in _ERRNOS:
        return True
    return bool(_FULL.search(str(error)))


@dataclass(slots=True)
class Room:
    """Whether there is room to work in ``home``.

    ``needed`` is more than there was when work was handed on for want of space: with no more it would come to the same.
    """

    home: Path
    measure: Callable[[Path], Disk] = disk_of
    failed: bool = field(default=False, init=False)
    needed: int = field(default=0, init=False)

    def lacking(self) -> str:
        """A sentence where there is too little room; empty where there is enough."""
        disk = self.measure(self.home)
        least = max(self.needed, disk.kept)
        if disk.free >= least and not self.failed:
            self.needed = 0
            return ""
        return (
            f"There is too little space on the disk of {self.home}: "
            f"{_shown(disk.free)} are free, and {_shown(least)} are needed."
        )

    def note(self, error: BaseException | str) -> bool:
        """Whether a failure says nothing but that the disk is full, by its words or by the room there is."""
        if tells_of_full_disk(error):
            self.failed = True
        return bool(self.lacking())

    def settle(self) -> None:
        """What ran has been handed on, and its files are gone: from now on it takes more room than is left."""
        disk = self.measure(self.home)
        self.needed, self.failed = disk.free + disk.kept, False


def _shown(count: int) -> str:
    return f"{count / MEBIBYTE:.0f} MiB" if count > 10 * MEBIBYTE else f"{count // 1024} KiB"
