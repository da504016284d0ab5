"""Give a folder's files to the sandbox's user: the fallback where mounts cannot be mapped (see ``idmap``)."""

import os
import stat
from pathlib import Path


def hand_over(root: Path, user: int) -> None:
    """Make everything below ``root`` that is root's belong to ``user``, links themselves included.

    ``root`` itself stays root's and is opened to the user's group, and ``.git`` is left alone: git refuses to work as
    root where either belongs to somebody else.
    """
    if not root.is_dir():
        os.chown(root, user, user)
        return
    os.chown(root, -1, user)
    root.chmod(root.stat().st_mode | 0o070)
    for folder, folders, files, handle in os.fwalk(root):
        if folder != os.fspath(root):
            _give(".", handle, user)
        for name in files + [name for name in folders if _is_link(name, handle)]:
            _give(name, handle, user)
        folders[:] = [name for name in folders if name != ".git"]


def _give(name: str, folder: int, user: int) -> None:
    if name != ".git" and os.stat(name, dir_fd=folder, follow_symlinks=False).st_uid == 0:
        os.chown(name, user, user, dir_fd=folder, follow_symlinks=False)


def _is_link(name: str, folder: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
