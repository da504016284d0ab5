"""What a command changed in its workspace, found by comparing two cheap scans.

A scan looks at no content: a file is the same while its inode, size and change time are. The change time (ctime) cannot
be set by a program, so a write that puts the modification time back is seen all the same.
"""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

Mark = tuple[int, int, int]  # inode, size, ctime in ns

_SET_ID = stat.S_ISUID | stat.S_ISGID
_UNREADABLE = (0, 0, -1)


def scan(root: Path) -> dict[str, Mark]:
    """Every file and link below ``root``, by path relative to it; folders are walked, links are not followed.

    Of a ``.git`` only its being there is marked: its inside changes with every look. A folder that cannot be read
    stands for itself.
    """
    marks: dict[str, Mark] = {}
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = os.scandir(root / folder)
        except OSError:
            marks[folder or "."] = _UNREADABLE
            continue
        with entries:
            _mark(entries, folder, marks, folders)
    return marks


def compare(before: Mapping[str, Mark], after: Mapping[str, Mark]) -> tuple[str, ...]:
    """Paths written, created or removed between two scans, sorted."""
    return tuple(sorted({name for name, _ in before.items() ^ after.items()}))


def clear_set_id(root: Path, paths: Iterable[str]) -> None:
    """Take setuid and setgid away from files below ``root``; a link is left alone. Only once nobody writes there any more."""
    for path in paths:
        try:
            file = os.open(root / path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # it has gone
            continue
        try:
            mode = os.fstat(file).st_mode
            if stat.S_ISREG(mode) and mode & _SET_ID:
                Path(f"/proc/self/fd/{file}").chmod(stat.S_IMODE(mode) & ~_SET_ID)
        finally:
            os.close(file)


def _mark(
    entries: Iterable[os.DirEntry[str]], folder: str, marks: dict[str, Mark], folders: list[str]
) -> None:
    prefix = folder + "/" if folder else ""
    for entry in entries:
        path = prefix + entry.name
        if entry.name == ".git":
            marks[path] = (entry.inode(), 0, 0)
        elif entry.is_dir(follow_symlinks=False):
            folders.append(path)
        else:
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            marks[path] = (found.st_ino, found.st_size, found.st_ctime_ns)
