"""Mounts on which files of one user appear as another's (kernel 5.12, mount_setattr(2)).

Bullpen as root keeps workspaces owned by root; on such a mount they belong to the sandbox's user, and what that user
writes is root's on disk. No file is chowned, so git's index and its ownership check stay content.
"""

import contextlib
import ctypes
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from bullpen.sandbox.linux.owners import is_dead

_AT_FDCWD, _AT_EMPTY_PATH, _O_CLOEXEC = -100, 0x1000, 0o2000000
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH, _MNT_DETACH = 1, 4, 2
_MOUNT_ATTR_IDMAP, _MS_PRIVATE = 0x00100000, 1 << 18
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_MOUNT_SETATTR = 428, 429, 442  # the same on every architecture
_BASE = Path("/run/bullpen-mounts")
_LAST_ID = 4_294_967_294


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user_namespace", ctypes.c_uint64),
    )


def attach(source: Path, user: int) -> Path:
    """A new mount of ``source`` on which the ids 0 and ``user`` are exchanged; end it with ``detach``.

    Raises:
        OSError: the kernel or the file system of ``source`` cannot do it.
    """
    namespace = _exchanging_namespace(user)
    tree = _call(_SYS_OPEN_TREE, _AT_FDCWD, os.fsencode(source), _OPEN_TREE_CLONE | _O_CLOEXEC)
    try:
        wish = _MountAttributes(_MOUNT_ATTR_IDMAP, 0, _MS_PRIVATE, namespace)
        _call(_SYS_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(wish), ctypes.sizeof(wish))
        point = _mount_point(source.is_dir())
        try:
            _call(_SYS_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(point), _MOVE_MOUNT_F_EMPTY_PATH)
        except OSError:
            _remove(point)
            raise
        return point
    finally:
        os.close(tree)


def detach(point: Path) -> None:
    """Take the mount away and its mount point with it; whoever bound it elsewhere keeps it."""
    if _libc().umount2(os.fsencode(point), _MNT_DETACH) == 0:
        _remove(point)
        with contextlib.suppress(OSError):  # others are still mounted
            point.parent.rmdir()


def sweep() -> None:
    """Take away mounts left by processes that were killed."""
    for folder in _BASE.glob("*") if _BASE.is_dir() else ():
        if folder.name.isdigit() and is_dead(folder.name):
            for point in folder.iterdir():
                detach(point)
                with contextlib.suppress(OSError):
                    point.rmdir()  # one that was made but never mounted on
            with contextlib.suppress(OSError):
                folder.rmdir()


def _mount_point(is_folder: bool) -> Path:
    own = _BASE / str(os.getpid())
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_folder:
        return Path(tempfile.mkdtemp(dir=own))
    handle, name = tempfile.mkstemp(dir=own)
    os.close(handle)
    return Path(name)


def _remove(point: Path) -> None:
    """Never recursive: below a point that is still mounted are somebody's files."""
    if point.is_dir():
        point.rmdir()
    else:
        point.unlink(missing_ok=True)


@cache
def _exchanging_namespace(user: int) -> int:
    """A descriptor of a user namespace whose map exchanges 0 and ``user``; made once."""
    lines = f"0 {user} 1\n1 1 {user - 1}\n{user} 0 1\n{user + 1} {user + 1} {_LAST_ID - user}\n"
    with subprocess.Popen(
        ["unshare", "--user", "sh", "-c", "echo; read _"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        if holder.stdout is None or not holder.stdout.readline():
            raise OSError("no user namespace can be made")
        for name in ("uid_map", "gid_map"):
            Path("/proc", str(holder.pid), name).write_text(lines)
        return os.open(f"/proc/{holder.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    result = _libc().syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)
