"""Reading and writing files of a worktree. No symbolic link is ever followed, in any part of a path.

A worktree's files come from a repository nobody vouches for, and programs in the sandbox may have changed them.
"""

import contextlib
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from bullpen.domain.errors import InvalidInput, LimitExceeded, NotFound, PermissionRefused
from bullpen.vcs.git import MEBIBYTE
from bullpen.vcs.trees import inner_path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read_inside(root: Path, path: str, *, most: int = 16 * MEBIBYTE) -> bytes:
    """The content of the ordinary file ``path`` under ``root``.

    Raises:
        NotFound: no such file, or it is a link, a pipe or a folder, or a link is on the way.
        LimitExceeded: it is larger than ``most`` bytes.
        PermissionRefused: it may not be read.
    """
    with _reported(path), _folder_of(root, path, make=False) as (folder, name):
        descriptor = os.open(name, _READ, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NotFound(f"{path!r} is not an ordinary file.")
            content = stream.read(most + 1)
    if len(content) > most:
        raise LimitExceeded(f"{path!r} is larger than {most} bytes.")
    return content


def write_inside(root: Path, path: str, content: bytes) -> None:
    """Write ``path`` under ``root``, at once and whole; folders are made, the mode of a file that is there stays.

    Raises:
        NotFound: a link or a file is where a folder should be.
        InvalidInput: there is a link or a folder of that name.
        PermissionRefused: it may not be written.
    """
    with _reported(path), _folder_of(root, path, make=True) as (folder, name):
        mode = _mode_to_keep(folder, name, path)
        draft = f".bullpen-{secrets.token_hex(8)}"
        try:
            with os.fdopen(os.open(draft, _NEW, mode, dir_fd=folder), "wb") as stream:
                stream.write(content)
                os.fchmod(stream.fileno(), mode)
            os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
            raise


def remove_inside(root: Path, path: str) -> None:
    """Delete the file or link ``path`` under ``root``.

    Raises:
        NotFound: there is none.
        PermissionRefused: it may not be deleted.
    """
    with _reported(path), _folder_of(root, path, make=False) as (folder, name):
        os.unlink(name, dir_fd=folder)


@contextmanager
def _folder_of(root: Path, path: str, *, make: bool) -> Generator[tuple[int, str]]:
    """The folder of ``path``, opened step by step from ``root``, and the last part of the path."""
    *folders, name = inner_path(path).split("/")
    current = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, dir_fd=current)
            deeper = os.open(folder, _FOLDER, dir_fd=current)
            os.close(current)
            current = deeper
        yield current, name
    finally:
        os.close(current)


def _mode_to_keep(folder: int, name: str, path: str) -> int:
    try:
        mode = os.lstat(name, dir_fd=folder).st_mode
    except FileNotFoundError:
        return 0o644
    if not stat.S_ISREG(mode):
        raise InvalidInput(f"{path!r} is not an ordinary file, so it is not written.")
    return stat.S_IMODE(mode) & 0o777


@contextmanager
def _reported(path: str) -> Generator[None]:
    """The file system's complaints as errors of our tree."""
    try:
        yield
    except PermissionError as error:
        raise PermissionRefused(f"{path!r}: {error.strerror}.") from error
    except OSError as error:
        raise NotFound(f"There is no ordinary file {path!r} here: {error.strerror}.") from error
