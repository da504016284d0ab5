"""Files on their way to another machine and back, as tar archives.

What comes back was made by a hostile program. It is taken apart by folder descriptors that follow no link, so no name in
it leads out of the folder it belongs to.
"""

import contextlib
import hashlib
import operator
import os
import stat
import tarfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol, cast

from bullpen.domain.errors import Conflict, InvalidInput, Unavailable

LEAST = 4096  # an empty file uses up something too
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
_NO_SET_ID = 0o1777
_GIT = ".git"


@dataclass(frozen=True, slots=True)
class Sent:
    """What was said of one path: a type of tar, the mode, the modification time in whole seconds, and a link's target."""

    kind: bytes
    mode: int
    mtime: int
    size: int
    link: str = ""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose files are on the other side. ``theirs`` owns what this user owns here, or everything if ``all_of_it``.

    Of what ``theirs`` could not read, an empty file goes, so that nothing secret travels.
    """

    theirs: int
    all_of_it: bool

    def of(self, state: os.stat_result) -> int:
        """The owner there; 0 is root."""
        mine = self.all_of_it or (os.geteuid() != 0 and state.st_uid == os.geteuid())
        return self.theirs if mine else 0


def pack(
    root: Path,
    target: str,
    owner: Owner,
    into: "Sink",
    without: frozenset[str] = frozenset(),
    known: frozenset[str] = frozenset(),
) -> dict[str, Sent]:
    """Write the folder or file ``root`` as ``target`` (relative) to an archive.

    ``without`` are paths below ``root`` that are left out; ``known`` folders above ``target`` that are there already.

    Returns what was sent, by path relative to ``root``; the top is not among it.

    Raises:
        InvalidInput: something of it cannot be read, or changes while it is.
    """
    sent: dict[str, Sent] = {}
    try:
        with _archive_into(into) as archive:
            _pack_parents(archive, target, known)
            if root.is_dir():
                _pack_folder(archive, root, target, owner, sent, without)
            else:
                _pack_file(archive, root, target, owner)
    except OSError as error:
        raise InvalidInput(f"{os.fspath(root)!r} cannot be sent to the Docker host: {error}.") from error
    return sent


class Sink(Protocol):
    """Something to write bytes to."""

    def write(self, data: bytes, /) -> int:
        """Take them in."""
        ...


class Digest:
    """A place to write to that keeps nothing but a hash and a length."""

    def __init__(self) -> None:
        self._hash, self.size = hashlib.sha256(), 0

    def write(self, data: bytes, /) -> int:
        """Take it in."""
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    def hexdigest(self) -> str:
        """The hash of all that was written."""
        return self._hash.hexdigest()


def marks(root: Path) -> str:
    """A hash of the inode, size and change time of all that is below ``root``: the same while its content is."""
    found = hashlib.sha256(_mark(os.fspath(root), root.stat()))
    folders = [os.fspath(root)] if root.is_dir() else []
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=operator.attrgetter("name")):
                found.update(_mark(entry.path, entry.stat(follow_symlinks=False)))
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return found.hexdigest()


def _mark(path: str, state: os.stat_result) -> bytes:
    return os.fsencode(path) + b"\0%d %d %d\0" % (state.st_ino, state.st_size, state.st_ctime_ns)


def _pack_parents(archive: tarfile.TarFile, target: str, known: frozenset[str]) -> None:
    for above in [*PurePosixPath(target).parents][::-1]:
        if above.name and str(above) not in known:
            archive.addfile(_header(str(above), tarfile.DIRTYPE, 0o755))


def _pack_file(archive: tarfile.TarFile, root: Path, target: str, owner: Owner) -> None:
    folder = os.open(root.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _pack_entry(archive, folder, root.name, target, owner, {})
    finally:
        os.close(folder)


def _pack_folder(
    archive: tarfile.TarFile,
    root: Path,
    target: str,
    owner: Owner,
    sent: dict[str, Sent],
    without: frozenset[str],
) -> None:
    state = root.stat()
    # The top must be writable for the one it is given to, whatever user it belongs to here.
    extra = 0o700 if owner.all_of_it else 0
    archive.addfile(_header(target, tarfile.DIRTYPE, stat.S_IMODE(state.st_mode) | extra, owner.of(state)))
    linked: dict[tuple[int, int], str] = {}
    for folder, folders, files, handle in os.fwalk(root):
        relative = os.path.relpath(folder, root)
        above = "" if relative == "." else f"{relative}/"
        folders[:] = sorted(name for name in folders if above + name not in without)
        for name in sorted((*folders, *files)):
            path = above + name
            if path in without:
                continue
            inside = f"{target}/{path}"
            entry = _pack_entry(archive, handle, name, inside, owner, linked)
            if entry:
                sent[path] = entry
        folders[:] = [name for name in folders if _is_open(handle, name, owner)]


def _archive_into(into: Sink) -> tarfile.TarFile:
    only_written = cast("IO[bytes]", into)  # which is all that this mode does
    return tarfile.open(
        fileobj=only_written, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
    )


def _is_open(folder: int, name: str, owner: Owner) -> bool:
    """Whether somebody there may look into a folder; where only root could, nothing of it travels."""
    state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    return owner.of(state) != 0 or bool(state.st_mode & stat.S_IXOTH)


def _pack_entry(
    archive: tarfile.TarFile,
    folder: int,
    name: str,
    inside: str,
    owner: Owner,
    linked: dict[tuple[int, int], str],
) -> Sent | None:
    state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    header = _described(folder, name, inside, state, owner)
    if header is None:
        return None
    mark = (state.st_dev, state.st_ino)
    if header.isreg() and mark in linked:
        header.type, header.linkname, header.size = tarfile.LNKTYPE, linked[mark], 0
    if header.isreg():
        if state.st_nlink > 1:
            linked[mark] = inside
        _pack_content(archive, folder, name, header)
    else:
        archive.addfile(header)
    return Sent(_plain_kind(header), header.mode, int(header.mtime), state.st_size, header.linkname)


def _pack_content(archive: tarfile.TarFile, folder: int, name: str, header: tarfile.TarInfo) -> None:
    if header.size == 0:
        archive.addfile(header)
        return
    with os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb") as content:
        archive.addfile(header, content)


def _described(
    folder: int, name: str, inside: str, state: os.stat_result, owner: Owner
) -> tarfile.TarInfo | None:
    """What an archive says of it; None of what no archive carries."""
    mode, user = stat.S_IMODE(state.st_mode), owner.of(state)
    if stat.S_ISDIR(state.st_mode):
        return _header(inside, tarfile.DIRTYPE, mode, user, int(state.st_mtime))
    if stat.S_ISLNK(state.st_mode):
        link = os.readlink(name, dir_fd=folder)
        return _header(inside, tarfile.SYMTYPE, 0o777, user, int(state.st_mtime), link)
    if stat.S_ISFIFO(state.st_mode):
        return _header(inside, tarfile.FIFOTYPE, mode & _NO_SET_ID, user, int(state.st_mtime))
    if not stat.S_ISREG(state.st_mode):
        return None
    header = _header(inside, tarfile.REGTYPE, mode & _NO_SET_ID, user, int(state.st_mtime))
    secret = user == 0 and not mode & stat.S_IROTH
    header.size = 0 if secret else state.st_size
    return header


def _header(
    name: str, kind: bytes, mode: int, user: int = 0, mtime: int = 0, link: str = ""
) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.uid, entry.gid = kind, mode, user, user
    entry.mtime, entry.linkname = mtime, link
    return entry


def _plain_kind(header: tarfile.TarInfo) -> bytes:
    return tarfile.REGTYPE if header.islnk() or header.isreg() else header.type


# --- back -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Returned:
    """Paths written, created or removed, sorted; and the bytes by which the files' sizes have grown together."""

    changed: tuple[str, ...]
    growth: int


def unpack(spool: IO[bytes], root: Path, sent: Mapping[str, Sent], without: Iterable[str] = ()) -> Returned:
    """Make ``root`` what the archive says it has become on the other machine; ``sent`` is what had gone there.

    The archive has one folder at its top, which stands for ``root``. What is at or below a path of ``without`` stays as
    it is here. What is the same as before is not touched; a file that is not is replaced, never written into.

    Raises:
        Unavailable: the archive is not whole, or names what no file system holds.
        Conflict: something has come to be here meanwhile, in the way of what came back.
    """
    kept = frozenset(without)
    top = os.open(root, _FOLDER)
    try:
        with tarfile.open(fileobj=spool, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
            members = {path: info for path, info in _members(archive, spool) if not _is_kept(path, kept)}
            return _Unpacking(
                top, archive, members, {p: s for p, s in sent.items() if not _is_kept(p, kept)}
            ).run()
    except tarfile.TarError as error:
        raise Unavailable(f"What came back from the Docker host is not whole ({error}).") from error
    except OSError as error:
        raise Conflict(f"What came back cannot be written to {os.fspath(root)!r}: {error}.") from error
    finally:
        os.close(top)


def _members(archive: tarfile.TarFile, spool: IO[bytes]) -> Iterator[tuple[str, tarfile.TarInfo]]:
    for info in archive:
        path = _inside(info.name)
        if path:
            yield path, info
    _check_end(archive, spool)


def _check_end(archive: tarfile.TarFile, spool: IO[bytes]) -> None:
    """The library stops in silence at whatever is no header; but what is lacking in a cut archive was not removed."""
    spool.seek(archive.offset)
    if spool.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise Unavailable("What came back from the Docker host is not whole.")


def _inside(name: str) -> str:
    """A member's path below the archive's top folder; empty for that folder itself."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts or "\0" in name or name.startswith("/"):
        raise Unavailable(f"The Docker host sent back a path that leads elsewhere: {name!r}.")
    return "/".join(parts[1:])


def _is_kept(path: str, kept: frozenset[str]) -> bool:
    return path in kept or any(str(above) in kept for above in PurePosixPath(path).parents)


@dataclass(frozen=True, slots=True)
class _Unpacking:
    """One archive on its way into a folder, which ``top`` is a descriptor of."""

    top: int
    archive: tarfile.TarFile
    members: Mapping[str, tarfile.TarInfo]
    sent: Mapping[str, Sent]

    def run(self) -> Returned:
        changed = [path for path in self.sent if path not in self.members]
        for path in sorted(changed, reverse=True):
            self._remove(path)
        for path, info in self.members.items():
            if self._differs(path, info):
                changed.append(path)
                self._put(path, info)
        for path, info in reversed(tuple(self.members.items())):  # last, or a folder could be closed to us
            if info.isdir() and (path not in self.sent or self.sent[path].mode != info.mode):
                self._open_up(path, info.mode & 0o3777)
        return Returned(_told(changed, self._is_folder), self._growth())

    def _is_folder(self, path: str) -> bool:
        info, sent = self.members.get(path), self.sent.get(path)
        return (info is None or info.isdir()) and (sent is None or sent.kind == tarfile.DIRTYPE)

    def _growth(self) -> int:
        now = sum(max(info.size, LEAST) for info in self.members.values() if info.isreg())
        before = sum(max(one.size, LEAST) for one in self.sent.values() if one.kind == tarfile.REGTYPE)
        return now - before

    def _differs(self, path: str, info: tarfile.TarInfo) -> bool:
        sent = self.sent.get(path)
        if sent is None or sent.kind != _plain_kind(info):
            return True
        if info.isdir():
            return False
        if info.issym():
            return sent.link != info.linkname
        if sent.mode != info.mode & 0o7777 or sent.mtime != int(info.mtime):
            return True
        return not info.isfifo() and not self._same_content(path, info)

    def _same_content(self, path: str, info: tarfile.TarInfo) -> bool:
        theirs = self.archive.extractfile(self._first(info))
        if theirs is None:
            return False
        with self._parent(path) as folder, theirs:
            try:
                descriptor = os.open(os.path.basename(path), _FILE, dir_fd=folder)  # noqa: PTH119 - names are bytes that went through
            except OSError:
                return False
            with os.fdopen(descriptor, "rb") as ours:
                while block := theirs.read(_CHUNK):
                    if ours.read(_CHUNK) != block:
                        return False
                return not ours.read(1)

    def _first(self, info: tarfile.TarInfo) -> tarfile.TarInfo:
        """The member that holds the content of a hard link."""
        seen = info
        while seen.islnk():
            following = self.members.get(_inside(seen.linkname))
            if following is None or following is info or not (following.isreg() or following.islnk()):
                raise Unavailable(f"The Docker host sent back a link to nothing: {info.name!r}.")
            seen = following
        return seen

    def _put(self, path: str, info: tarfile.TarInfo) -> None:
        name = path.rpartition("/")[2]
        with self._parent(path) as folder:
            if info.isdir():
                _clear(folder, name)
                os.mkdir(name, 0o700, dir_fd=folder)
            elif info.issym():
                _clear(folder, name)
                os.symlink(info.linkname, name, dir_fd=folder)
            elif info.isfifo():
                _clear(folder, name)
                os.mkfifo(name, info.mode & 0o777, dir_fd=folder)
            elif info.islnk():
                self._link(info, folder, name)
            elif info.isreg():
                self._write(info, folder, name)

    def _link(self, info: tarfile.TarInfo, folder: int, name: str) -> None:
        first = _inside(info.linkname)
        self._first(info)
        _clear(folder, name)
        with self._parent(first) as other:
            os.link(
                first.rpartition("/")[2], name, src_dir_fd=other, dst_dir_fd=folder, follow_symlinks=False
            )

    def _write(self, info: tarfile.TarInfo, folder: int, name: str) -> None:
        content = self.archive.extractfile(info)
        assert content is not None  # noqa: S101 - regular files have some
        _clear(folder, name)
        with content, os.fdopen(os.open(name, _NEW, 0o600, dir_fd=folder), "wb") as file:
            while block := content.read(_CHUNK):
                file.write(block)
            file.flush()
            os.fchmod(file.fileno(), info.mode & _NO_SET_ID)
            os.utime(file.fileno(), (int(info.mtime), int(info.mtime)))

    def _remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError), self._parent(path) as folder:
            _clear(folder, path.rpartition("/")[2])

    def _open_up(self, path: str, mode: int) -> None:
        with self._parent(path) as folder:
            handle = os.open(path.rpartition("/")[2], _FOLDER, dir_fd=folder)
            try:
                os.fchmod(handle, mode)
            finally:
                os.close(handle)

    @contextlib.contextmanager
    def _parent(self, path: str) -> Generator[int]:
        """A descriptor of the folder that holds ``path``, come to without following a link."""
        handle = os.dup(self.top)
        try:
            for part in path.split("/")[:-1]:
                below = os.open(part, _FOLDER, dir_fd=handle)
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)


def _clear(folder: int, name: str) -> None:
    """Take away what has that name, but never a folder that still holds something."""
    try:
        state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(state.st_mode):
        os.rmdir(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


def _told(changed: Iterable[str], is_folder: Callable[[str], bool]) -> tuple[str, ...]:
    """As a scan of the workspace would say it: no folders, and of a ``.git`` only that it came or went."""
    told: set[str] = set()
    for path in changed:
        parts = path.split("/")
        if _GIT in parts[:-1]:
            continue
        if parts[-1] == _GIT or not is_folder(path):
            told.add(path)
    return tuple(sorted(told))
