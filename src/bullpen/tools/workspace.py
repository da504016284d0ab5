"""Files of a workspace, and what of them a task may change.

Every path is opened one component at a time without following links, so neither ``..`` nor a symlink, even one that
is swapped in meanwhile, leads out of the workspace. ``.git`` is out of bounds. Names that are not UTF-8 are carried as
surrogates (PEP 383).
"""

import difflib
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.errors import InvalidInput, LimitExceeded, NotFound, PermissionRefused

LARGEST_FILE = 8 * 1024 * 1024
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_IMPORT = re.compile(
    rb"\s*(?:import\b|from\b.+\bimport\b|use\b|#include\b|(?:const|let|var)\b.+\brequire\(|$)"
)


def parts_of(path: str) -> tuple[str, ...]:
    """The components of a path inside a workspace.

    Raises:
        PermissionRefused: it is absolute, climbs with ``..``, or enters ``.git``.
        InvalidInput: it is empty or holds a NUL.
    """
    if "\0" in path:
        raise InvalidInput("A path may not hold a NUL character.")
    if path.startswith("/"):
        raise PermissionRefused(f"{path!r} is absolute.", remedy="Give a path relative to the workspace.")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts:
        raise PermissionRefused(f"{path!r} leads out of the workspace.", remedy="Leave out the '..'.")
    if any(part.lower() == ".git" for part in parts):
        raise PermissionRefused(f"{path!r} is inside .git, which belongs to git.")
    return parts


def normal(path: str) -> str:
    """The one spelling of a path inside a workspace."""
    parts = parts_of(path)
    if not parts:
        raise InvalidInput(f"{path!r} does not name a file.")
    return "/".join(parts)


@contextmanager
def _folder(root: Path, parts: Sequence[str], *, make: bool = False) -> Generator[int]:
    """A descriptor of the folder ``parts`` below ``root``, reached without following a link."""
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            if make and not _exists(part, here):
                os.mkdir(part, dir_fd=here)
            inner = os.open(part, _DIRECTORY, dir_fd=here)
            os.close(here)
            here = inner
        yield here
    finally:
        os.close(here)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _told(path: str) -> Generator[None]:
    """Say what the file system said in a sentence of ours."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"There is no file {path!r}.") from None
    except NotADirectoryError:
        raise PermissionRefused(f"A part of {path!r} is a link or a file, not a folder.") from None
    except IsADirectoryError:
        raise InvalidInput(f"{path!r} is a folder.") from None
    except OSError as error:
        raise PermissionRefused(f"{path!r} cannot be opened: {error.strerror}.") from error


def read_bytes(root: Path, path: str) -> bytes:
    """The content of a regular file.

    Raises:
        NotFound: there is no such file.
        PermissionRefused: the path leads out, or it is a link, a device, a pipe.
        LimitExceeded: it is larger than ``LARGEST_FILE``.
    """
    *folders, name = normal(path).split("/")
    with _told(path), _folder(root, folders) as folder:
        # O_NONBLOCK: opening a pipe must not wait for its other end
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(handle, "rb") as file:
            state = os.fstat(file.fileno())
            _require_regular(path, state.st_mode)
            if state.st_size > LARGEST_FILE:
                raise LimitExceeded(f"{path!r} has {state.st_size} bytes; at most {LARGEST_FILE} are read.")
            return file.read(LARGEST_FILE + 1)


def write_bytes(root: Path, path: str, content: bytes) -> None:
    """Replace or create a regular file in one step, keeping its mode. Raises as ``read_bytes`` does."""
    *folders, name = normal(path).split("/")
    with _told(path), _folder(root, folders, make=True) as folder:
        mode = _mode_of(path, name, folder)
        draft = f".{secrets.token_hex(8)}.draft"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(draft, flags, mode, dir_fd=folder), "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)


def remove(root: Path, path: str) -> None:
    """Remove a regular file. Raises as ``read_bytes`` does."""
    *folders, name = normal(path).split("/")
    with _told(path), _folder(root, folders) as folder:
        _require_regular(path, os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        os.unlink(name, dir_fd=folder)


def _mode_of(path: str, name: str, folder: int) -> int:
    try:
        state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return 0o644
    _require_regular(path, state.st_mode)
    return stat.S_IMODE(state.st_mode) & 0o777


def _require_regular(path: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise InvalidInput(f"{path!r} is a folder.")
    if not stat.S_ISREG(mode):
        raise PermissionRefused(f"{path!r} is not a regular file.")


def walk(root: Path, below: str = "") -> Iterator[str]:
    """Paths of all regular files in ``below``, sorted, without ``.git`` and without following links."""
    parts = parts_of(below)
    with _told(below), _folder(root, parts):
        start = root.joinpath(*parts)
    for here, folders, names in os.walk(start):
        folders[:] = sorted(name for name in folders if name.lower() != ".git")
        for name in sorted(names):
            full = Path(here, name)
            if stat.S_ISREG(full.lstat().st_mode):
                yield full.relative_to(root).as_posix()


def content_hash(content: bytes) -> str:
    """What ``read_file`` gives and ``edit_file`` asks for: SHA-256, the first 16 hex digits."""
    return hashlib.sha256(content).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Scope:
    """The files and lines a task agreed to change, in lines of the files as they were when it began.

    ``files`` None means everything; a file with no ranges may change anywhere. ``folders`` may get new files.
    ``imports`` allows lines that only import to be added elsewhere in an agreed file.
    """

    files: Mapping[str, tuple[range, ...]] | None = None
    folders: tuple[str, ...] = ()
    imports: bool = True

    def require(self, path: str, before: bytes | None, after: bytes | None) -> None:
        """Refuse a change outside; ``before`` is the file as it was when the task began.

        Raises:
            PermissionRefused: the sentence names the file or the first line that was not agreed.
        """
        if self.files is None or (before is None and any(_inside(path, folder) for folder in self.folders)):
            return
        ranges = self.files.get(path)
        if ranges is None:
            agreed = ", ".join(sorted(self.files)) or "none"
            raise PermissionRefused(f"{path!r} is not among the agreed files ({agreed}).")
        if ranges:
            self._require_lines(path, before or b"", after or b"", ranges)

    def _require_lines(self, path: str, before: bytes, after: bytes, ranges: tuple[range, ...]) -> None:
        for first, last, added in changed_lines(before, after):
            if self.imports and last < first and all(_IMPORT.match(line) for line in added):
                continue
            outside = [line for line in _touched(first, last) if not _agreed(line, ranges)]
            if outside if last >= first else len(outside) == 2:
                agreed = ", ".join(_shown(one) for one in ranges)
                raise PermissionRefused(
                    f"Line {outside[0]} of {path!r} is outside the agreed lines ({agreed}).",
                    remedy="Change only the agreed lines, or ask for a further task.",
                )


def _inside(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _touched(first: int, last: int) -> Sequence[int]:
    """Changed lines; for an insertion (``last < first``) the two it stands between."""
    return range(first, last + 1) if last >= first else (last, first)


def _agreed(line: int, ranges: tuple[range, ...]) -> bool:
    return any(line in one for one in ranges)


def _shown(one: range) -> str:
    return str(one.start) if len(one) == 1 else f"{one.start}-{one.stop - 1}"


def changed_lines(before: bytes, after: bytes) -> Iterator[tuple[int, int, list[bytes]]]:
    """(first, last, lines that stand there now), in lines of ``before`` from 1; ``last`` < ``first`` for an insertion."""
    old, new = before.splitlines(), after.splitlines()
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    old, new = old[head : len(old) - tail], new[head : len(new) - tail]
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            yield head + i1 + 1, head + i2, new[j1:j2]


def _common(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def unified(path: str, before: bytes | None, after: bytes | None) -> str:
    """A unified diff for people and models."""
    old, new = (_lines(content) for content in (before, after))
    names = ("/dev/null" if before is None else f"a/{path}", "/dev/null" if after is None else f"b/{path}")
    return "".join(difflib.unified_diff(old, new, *names))


def _lines(content: bytes | None) -> list[str]:
    lines = [line.decode("utf-8", "surrogateescape") for line in (content or b"").splitlines(keepends=True)]
    return [
        line if line.endswith(("\n", "\r")) else f"{line}\n\\ No newline at end of file\n" for line in lines
    ]
