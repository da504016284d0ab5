"""Unified diffs from a model: parsed strictly, applied exactly (a hunk may have moved, its lines may not differ)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bullpen.domain.errors import Conflict, InvalidInput

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that stand at ``start`` (from 1), and what takes their place. Lines keep their ends."""

    start: int
    old: tuple[bytes, ...]
    new: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class FilePatch:
    """The hunks for one file."""

    path: str
    hunks: tuple[Hunk, ...]
    is_new: bool = False
    is_gone: bool = False


def parse_patch(text: str) -> list[FilePatch]:
    """The files of a unified diff.

    Raises:
        InvalidInput: it is not one; the message names the line.
    """
    lines = text.split("\n")
    patches: list[FilePatch] = []
    position = 0
    while position < len(lines):
        if lines[position].startswith(("rename ", "copy ", "GIT binary patch", "Binary files ")):
            raise InvalidInput(f"Line {position + 1} of the patch: renames and binary files are not taken.")
        if lines[position].startswith("--- ") and position + 1 < len(lines):
            patch, position = _file(lines, position)
            patches.append(patch)
        else:
            position += 1
    if not patches:
        raise InvalidInput("The patch holds no change.", remedy="Write it as git diff does.")
    if len({patch.path for patch in patches}) < len(patches):
        raise InvalidInput("The patch names a file twice.")
    return patches


def _file(lines: list[str], position: int) -> tuple[FilePatch, int]:
    old, new = (_path(line) for line in lines[position : position + 2])
    if not lines[position + 1].startswith("+++ ") or not (old or new):
        raise InvalidInput(f"Line {position + 2} of the patch should name the new file with +++.")
    position += 2
    hunks: list[Hunk] = []
    while position < len(lines) and lines[position].startswith("@@"):
        hunk, position = _hunk(lines, position)
        hunks.append(hunk)
    if not hunks:
        raise InvalidInput(f"Line {position + 1} of the patch should begin a hunk with @@.")
    return FilePatch(new or old, tuple(hunks), is_new=not old, is_gone=not new), position


def _path(line: str) -> str:
    name = line[4:].split("\t", maxsplit=1)[0].rstrip("\r")
    if name == "/dev/null":
        return ""
    return name[2:] if name.startswith(("a/", "b/")) else name


def _hunk(lines: list[str], position: int) -> tuple[Hunk, int]:
    header = _HUNK.match(lines[position])
    if header is None:
        raise InvalidInput(f"Line {position + 1} of the patch is not a hunk header.")
    start, olds, _, news = (int(part) if part else 1 for part in header.groups())
    old: list[bytes] = []
    new: list[bytes] = []
    position += 1
    while position < len(lines) and (len(old) < olds or len(new) < news or lines[position][:1] == "\\"):
        _take(lines, position, old, new)
        position += 1
    if (len(old), len(new)) != (olds, news):
        raise InvalidInput(
            f"The hunk that ends at line {position} of the patch does not have the lines it says."
        )
    return Hunk(start, tuple(old), tuple(new)), position


def _take(lines: list[str], position: int, old: list[bytes], new: list[bytes]) -> None:
    kind, content = lines[position][:1] or " ", lines[position][1:].encode("utf-8", "surrogateescape")
    if kind not in " -+\\":
        raise InvalidInput(f"Line {position + 1} of the patch begins with neither blank, - nor +.")
    # "\ No newline at end of file" speaks of the line before it
    said = (lines[position - 1][:1] or " ") if kind == "\\" else kind
    for side, marks in ((old, " -"), (new, " +")):
        if said in marks and kind != "\\":
            side.append(content + b"\n")
        elif said in marks and side:
            side[-1] = side[-1].removesuffix(b"\n")


def apply_hunks(path: str, before: bytes, hunks: tuple[Hunk, ...]) -> bytes:
    """The new content.

    Raises:
        Conflict: a hunk's lines are not in the file, or are in several places none of which is where it says.
    """
    lines = before.splitlines(keepends=True) if b"\r" not in before else _split(before)
    done: list[bytes] = []
    position = 0
    for hunk in hunks:
        start = _find(path, lines, hunk, position)
        done += lines[position:start]
        done += hunk.new
        position = start + len(hunk.old)
    return b"".join((*done, *lines[position:]))


def _split(content: bytes) -> list[bytes]:
    """Lines by line feed alone, so a carriage return stays with its line."""
    lines = [line + b"\n" for line in content.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _find(path: str, lines: list[bytes], hunk: Hunk, least: int) -> int:
    said = hunk.start - 1 if hunk.old else hunk.start
    if said >= least and _fits(lines, hunk, said):
        return said
    places = list(_places(lines, hunk, least)) if hunk.old else []
    if len(places) != 1:
        problem = f"in {len(places)} places" if places else "not there"
        raise Conflict(
            f"The hunk for line {hunk.start} of {path!r} does not fit: its lines are {problem}.",
            remedy="Read the file again and write the patch from what stands there.",
        )
    return places[0]


def _fits(lines: list[bytes], hunk: Hunk, start: int) -> bool:
    return start <= len(lines) and lines[start : start + len(hunk.old)] == list(hunk.old)


def _places(lines: list[bytes], hunk: Hunk, least: int) -> Iterator[int]:
    return (start for start in range(least, len(lines)) if _fits(lines, hunk, start))
