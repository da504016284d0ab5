"""Reading what commits hold: trees, files, pointers. Nothing here needs a work tree, and nothing is written."""

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bullpen.domain.errors import BullpenError, InvalidInput, LimitExceeded, NotFound
from bullpen.vcs.git import MEBIBYTE, GitDir, git

LFS_POINTER_BYTES = 1024  # the specification's limit
_LFS_VERSION = (
    b"version https://git-lfs.github.com/spec/v1\n",
    b"version https://hawser.github.com/spec/v1\n",
)


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file of a tree. ``mode`` is git's (``100644``); ``size`` in bytes, None for a submodule or if not asked."""

    path: str
    mode: str
    blob: str
    size: int | None = None

    @property
    def is_symlink(self) -> bool:
        """Whether the blob holds the target of a symbolic link."""
        return self.mode == "120000"

    @property
    def is_submodule(self) -> bool:
        """Whether it is a commit of another repository."""
        return self.mode == "160000"

    @property
    def is_file(self) -> bool:
        """Whether it is an ordinary file."""
        return self.mode.startswith("100")


@dataclass(frozen=True, slots=True)
class Submodule:
    """Another repository at ``path``. ``url`` is empty if ``.gitmodules`` does not name it."""

    path: str
    commit: str
    url: str = ""


MOST_LISTS = 4
_lists: OrderedDict[tuple[str, str, bool], tuple[TreeEntry, ...]] = OrderedDict()


async def list_tree(repo: GitDir | Path, treeish: str, *, sizes: bool = False) -> tuple[TreeEntry, ...]:
    """Every file of a commit or tree, in git's order. ``sizes`` costs one look-up per blob.

    The last few are kept: what a full hash names does not change, and it is asked for again by every item.
    """
    key = (str(repo.path if isinstance(repo, GitDir) else repo), treeish, sizes)
    if key in _lists:
        _lists.move_to_end(key)
        return _lists[key]
    flags = ("-l",) if sizes else ()
    listed = await git(repo, "ls-tree", "-r", "-z", "--full-tree", *flags, checked(treeish))
    entries = tuple(_entry(line) for line in listed.fields())
    if is_hash(treeish):
        _lists[key] = entries
        if len(_lists) > MOST_LISTS:
            _lists.popitem(last=False)
    return entries


def _entry(line: str) -> TreeEntry:
    facts, _, path = line.partition("\t")
    mode, _, blob, *size = facts.split()
    return TreeEntry(path, mode, blob, int(size[0]) if size and size[0] != "-" else None)


async def read_file(repo: GitDir | Path, treeish: str, path: str, *, most: int = 64 * MEBIBYTE) -> bytes:
    """The content of ``path`` at a commit or tree. A symbolic link's content is its target.

    Raises:
        NotFound: no such file there.
        LimitExceeded: it is larger than ``most`` bytes.
    """
    name = f"{checked(treeish)}:{inner_path(path)}"
    try:
        result = await git(repo, "cat-file", "blob", name, output_bytes=most)
    except LimitExceeded:
        raise LimitExceeded(f"{path} is larger than {most} bytes.") from None
    except BullpenError as error:
        raise NotFound(f"There is no file {path!r} at {treeish}.") from error
    return result.stdout


async def read_blobs(repo: GitDir | Path, blobs: Iterable[str]) -> Mapping[str, bytes]:
    """Many blobs by hash in one process; hashes that are no blobs of this repository are left out."""
    wanted = [checked(blob) for blob in dict.fromkeys(blobs)]
    if not wanted:
        return {}
    asked = "".join(f"{blob}\n" for blob in wanted).encode()
    return _split_batch((await git(repo, "cat-file", "--batch", stdin=asked)).stdout)


def _split_batch(data: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        words = data[at:end].decode("ascii", "replace").split()
        at = end + 1
        if len(words) == 3 and words[2].isdigit():
            size = int(words[2])
            if words[1] == "blob":
                found[words[0]] = data[at : at + size]
            at += size + 1
    return found


def is_lfs_pointer(content: bytes) -> bool:
    """Whether this is a Git LFS pointer in place of the real content (git-lfs docs/spec.md)."""
    return (
        len(content) < LFS_POINTER_BYTES
        and content.startswith(_LFS_VERSION)
        and re.search(rb"^oid sha256:[0-9a-f]{64}$", content, re.MULTILINE) is not None
        and re.search(rb"^size \d+$", content, re.MULTILINE) is not None
    )


async def has_lfs_rules(repo: GitDir | Path, tree: Iterable[TreeEntry]) -> bool:
    """Whether a ``.gitattributes`` of the tree hands files to LFS."""
    rules = [e.blob for e in tree if e.is_file and PurePosixPath(e.path).name == ".gitattributes"]
    return any(b"filter=lfs" in content for content in (await read_blobs(repo, rules)).values())


async def lfs_pointers(repo: GitDir | Path, treeish: str) -> tuple[str, ...]:
    """Paths that are LFS pointers, if the tree has rules for LFS at all; their real content is not here."""
    tree = await list_tree(repo, treeish, sizes=True)
    if not await has_lfs_rules(repo, tree):
        return ()
    small = [e for e in tree if e.is_file and e.size is not None and e.size < LFS_POINTER_BYTES]
    contents = await read_blobs(repo, (e.blob for e in small))
    return tuple(e.path for e in small if is_lfs_pointer(contents.get(e.blob, b"")))


async def outside_links(repo: GitDir | Path, treeish: str) -> tuple[str, ...]:
    """Symbolic links of the tree whose target lies outside it, judged by their text alone."""
    links = [e for e in await list_tree(repo, treeish) if e.is_symlink]
    targets = await read_blobs(repo, (e.blob for e in links))
    return tuple(e.path for e in links if leads_outside(e.path, targets.get(e.blob, b"/")))


def leads_outside(path: str, target: bytes) -> bool:
    """Whether a link at ``path`` with this ``target`` leaves the tree."""
    if target.startswith(b"/"):
        return True
    depth = len(PurePosixPath(path).parts) - 1
    for part in target.split(b"/"):
        depth += -1 if part == b".." else 0 if part in (b"", b".") else 1
        if depth < 0:
            return True
    return False


async def submodules(repo: GitDir | Path, treeish: str) -> tuple[Submodule, ...]:
    """The submodules of a commit; nothing of them is fetched."""
    entries = [e for e in await list_tree(repo, treeish) if e.is_submodule]
    urls = await _submodule_urls(repo, treeish) if entries else {}
    return tuple(Submodule(e.path, e.blob, urls.get(e.path, "")) for e in entries)


async def _submodule_urls(repo: GitDir | Path, treeish: str) -> dict[str, str]:
    blob = f"{checked(treeish)}:.gitmodules"
    listed = await git(repo, "config", "--blob", blob, "--no-includes", "--list", "-z", accept=(0, 1, 3, 128))
    pairs = (pair.partition("\n") for pair in listed.fields())
    values = {key: value for key, _, value in pairs}
    names = {key.removesuffix(".path") for key in values if key.endswith(".path")}
    return {values[f"{name}.path"]: values.get(f"{name}.url", "") for name in names}


def is_hash(revision: str) -> bool:
    """Whether it is a full hash, which names the same for ever."""
    return re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", revision) is not None


def checked(revision: str) -> str:
    """``revision``, unless git could take it for an option or a range.

    Raises:
        InvalidInput: it could.
    """
    if (
        not revision
        or revision.startswith("-")
        or ".." in revision
        or re.search(r"[\x00-\x20:^~?*\[\\]", revision)
    ):
        raise InvalidInput(f"{revision!r} is not the name of a commit.")
    return revision


def inner_path(path: str) -> str:
    """``path``, if it names something inside a repository.

    Raises:
        InvalidInput: it is absolute, empty, or climbs out.
    """
    parts = path.split("/")
    if "\0" in path or any(part in ("", ".", "..", ".git") for part in parts):
        raise InvalidInput(f"{path!r} is not a path inside the repository.")
    return path
