"""What changed between two trees: typed for programs, as a patch for people and ``git apply``."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.errors import Conflict
from bullpen.vcs.folders import private_index
from bullpen.vcs.git import GitDir, git, last_line
from bullpen.vcs.trees import checked

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPE = re.compile(rb'\\([abfnrtv"\\]|[0-7]{3})')
_LETTERS = dict(zip(b'abfnrtv"\\', b'\a\b\f\n\r\t\v"\\', strict=True))


@dataclass(frozen=True, slots=True)
class Hunk:
    """One changed region. Line numbers start at 1; a count of 0 means none, after the line ``start`` names.

    ``added`` are line numbers of the new file, ``removed`` of the old one.
    """

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    added: tuple[int, ...]
    removed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One file's change. ``status`` is git's letter: A, D, M, R (renamed) or T (file became link, and so on).

    ``old_path`` differs from ``path`` only for a rename. Modes are git's (``000000`` means it is not there).
    """

    path: str
    old_path: str
    status: str
    old_mode: str
    new_mode: str
    old_blob: str
    new_blob: str
    binary: bool
    hunks: tuple[Hunk, ...]

    @property
    def added(self) -> int:
        """How many lines came."""
        return sum(len(hunk.added) for hunk in self.hunks)

    @property
    def removed(self) -> int:
        """How many lines went."""
        return sum(len(hunk.removed) for hunk in self.hunks)


@dataclass(frozen=True, slots=True)
class Diff:
    """From one tree to another. ``patch`` is what ``git apply`` takes, binary files included."""

    old: str
    new: str
    files: tuple[FileDiff, ...]
    patch: bytes

    @property
    def added(self) -> int:
        """How many lines came."""
        return sum(file.added for file in self.files)

    @property
    def removed(self) -> int:
        """How many lines went."""
        return sum(file.removed for file in self.files)


@dataclass(frozen=True, slots=True)
class _Raw:
    """One line of the summary that stands before the patch."""

    old_mode: str
    new_mode: str
    old_blob: str
    new_blob: str
    status: str
    old_path: str
    path: str


async def diff_trees(repo: GitDir | Path, old: str, new: str, *, renames: bool = True) -> Diff:
    """What leads from the tree or commit ``old`` to ``new``."""
    result = await git(
        repo,
        *("diff-tree", "-r", "--raw", "-p", "--full-index", "--binary", "--no-color", "--no-ext-diff"),
        *("--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", "-M" if renames else "--no-renames"),
        *(checked(old), checked(new)),
    )
    return parse_diff(old, new, result.stdout)


def parse_diff(old: str, new: str, output: bytes) -> Diff:
    """Read what ``git diff-tree --raw -p`` wrote. Names in it are quoted, so none can pass for a header."""
    raw: list[_Raw] = []
    at = 0
    while output.startswith(b":", at):
        end = output.index(b"\n", at)
        raw.append(_parse_raw(output[at + 1 : end]))
        at = end + 1
    patch = output[at:].removeprefix(b"\n")
    sections = _sections(patch)
    files = tuple(_file(line, sections) for line in raw)
    return Diff(old, new, files, patch)


def changed_lines(diff: Diff) -> Mapping[str, frozenset[int]]:
    """By path, the lines of the new files that are new or changed. Binary and deleted files are left out."""
    return {
        file.path: frozenset(line for hunk in file.hunks for line in hunk.added)
        for file in diff.files
        if file.status != "D" and not file.binary
    }


async def apply_patch(repo: Path, tree: str, patch: bytes) -> str:
    """The tree that ``patch`` makes of ``tree``; no work tree is touched.

    Raises:
        Conflict: it does not apply.
    """
    async with private_index(repo) as place:
        await git(place, "read-tree", checked(tree))
        if patch:
            await _apply(place, patch)
        return (await git(place, "write-tree")).text


async def _apply(place: GitDir, patch: bytes) -> None:
    result = await git(
        place, "apply", "--cached", "--binary", "--whitespace=nowarn", "-", stdin=patch, accept=(0, 1, 128)
    )
    if result.status:
        raise Conflict(
            f"The patch does not fit: {last_line(result.stderr)}",
            remedy="Make it again from the files as they are.",
        )


def unquote(name: bytes) -> str:
    """A path as git prints it: plain, or in double quotes with C's escapes."""
    if name.startswith(b'"') and name.endswith(b'"') and len(name) > 1:
        name = _ESCAPE.sub(_unescape, name[1:-1])
    return os.fsdecode(name)


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes([int(code, 8) if len(code) == 3 else _LETTERS[code[0]]])


def _parse_raw(line: bytes) -> _Raw:
    facts, *names = line.split(b"\t")
    old_mode, new_mode, old_blob, new_blob, status = facts.decode("ascii").split()
    paths = [unquote(name) for name in names]
    return _Raw(old_mode, new_mode, old_blob, new_blob, status[0], paths[0], paths[-1])


def _file(raw: _Raw, sections: Iterator["_Section"]) -> FileDiff:
    """A change of type (file to link) is written as two sections: one goes, one comes."""
    own = [next(sections, _Section(False, ())) for _ in range(2 if raw.status == "T" else 1)]
    return FileDiff(
        path=raw.path,
        old_path=raw.old_path,
        status=raw.status,
        old_mode=raw.old_mode,
        new_mode=raw.new_mode,
        old_blob=raw.old_blob,
        new_blob=raw.new_blob,
        binary=any(section.binary for section in own),
        hunks=tuple(hunk for section in own for hunk in section.hunks),
    )


@dataclass(frozen=True, slots=True)
class _Section:
    """What one file's part of a patch says."""

    binary: bool
    hunks: tuple[Hunk, ...]


def _sections(patch: bytes) -> Iterator[_Section]:
    """Each ``diff --git`` part in turn. Hunks are read by their counts, so no content can pass for a header."""
    lines = patch.split(b"\n")
    at = 0
    while at < len(lines):
        if lines[at].startswith(b"diff --git "):
            section, at = _read_section(lines, at + 1)
            yield section
        else:
            at += 1


def _read_section(lines: list[bytes], at: int) -> tuple[_Section, int]:
    """What follows a ``diff --git`` line, and the index of the next such line."""
    binary = False
    hunks: list[Hunk] = []
    while at < len(lines) and not lines[at].startswith(b"diff --git "):
        line = lines[at]
        at += 1
        binary = binary or line.startswith((b"GIT binary patch", b"Binary files "))
        if match := _HUNK.match(line):
            hunk, at = _read_hunk(match, lines, at)
            hunks.append(hunk)
    return _Section(binary, tuple(hunks)), at


def _read_hunk(match: re.Match[bytes], lines: list[bytes], at: int) -> tuple[Hunk, int]:
    """The hunk whose header matched, and the index of the line after it."""
    old_start, old_count, new_start, new_count = (int(part) if part else 1 for part in match.groups())
    old_end, new_end = old_start + old_count, new_start + new_count
    old, new = old_start, new_start
    added: list[int] = []
    removed: list[int] = []
    while (old < old_end or new < new_end) and at < len(lines):
        sign = lines[at][:1]
        at += 1
        if sign == b"+":
            added.append(new)
            new += 1
        elif sign == b"-":
            removed.append(old)
            old += 1
        elif sign != b"\\":
            old += 1
            new += 1
    return Hunk(old_start, old_count, new_start, new_count, tuple(added), tuple(removed)), at
