"""A patch as lines to show. Hunks are read by their counts, so no content can pass for a header."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from bullpen.flow.reports.plain import shorten, visible, without_secrets
from bullpen.vcs.diffs import unquote

MOST_LINES = 400  # of one commit
MOST_COLUMNS = 400  # of one line
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class LineKind(StrEnum):
    """What a line of a diff is."""

    ADDED = "added"
    REMOVED = "removed"
    SAME = "same"
    HUNK = "hunk"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line, made visible. Numbers start at 1; 0 means the line is not in that file."""

    kind: LineKind
    text: str
    old: int = 0
    new: int = 0


@dataclass(frozen=True, slots=True)
class FileView:
    """One file's part. ``added`` and ``removed`` count all its lines, shown or not."""

    path: str
    lines: tuple[DiffLine, ...]
    added: int
    removed: int


@dataclass(frozen=True, slots=True)
class DiffView:
    """A whole patch. ``hidden`` says how many lines were left out to keep the report readable."""

    files: tuple[FileView, ...]
    hidden: int

    @property
    def added(self) -> int:
        """Lines that came."""
        return sum(file.added for file in self.files)

    @property
    def removed(self) -> int:
        """Lines that went."""
        return sum(file.removed for file in self.files)


def view_patch(patch: bytes, most: int = MOST_LINES) -> DiffView:
    """The patch git wrote, in parts by file; beyond ``most`` lines it is only counted."""
    files: list[FileView] = []
    left = most
    hidden = 0
    for path, lines in _files(patch.decode("utf-8", "surrogateescape")):
        kinds = [line.kind for line in lines]
        shown = _without_secrets(lines[:left])
        hidden += len(lines) - len(shown)
        left -= len(shown)
        files.append(FileView(path, shown, kinds.count(LineKind.ADDED), kinds.count(LineKind.REMOVED)))
    return DiffView(tuple(files), hidden)


def _without_secrets(lines: list[DiffLine]) -> tuple[DiffLine, ...]:
    """Secrets are searched for across lines (a private key has many); where one is found across them, none is shown."""
    texts = without_secrets("\n".join(line.text for line in lines)).split("\n")
    if len(texts) != len(lines):
        return (DiffLine(LineKind.NOTE, "not shown: it holds a secret of several lines"),)
    return tuple(replace(line, text=text) for line, text in zip(lines, texts, strict=True))


def _files(patch: str) -> Iterator[tuple[str, list[DiffLine]]]:
    lines = patch.split("\n")
    at = 0
    while at < len(lines):
        if not lines[at].startswith("diff --git "):
            at += 1
            continue
        header = at
        at += 1
        while at < len(lines) and not lines[at].startswith(("@@ ", "diff --git ", "GIT binary patch")):
            at += 1
        shown, at = _body(lines, at)
        yield _path(lines[header:at]), shown


def _body(lines: list[str], at: int) -> tuple[list[DiffLine], int]:
    if at < len(lines) and lines[at].startswith("GIT binary patch"):
        while at < len(lines) and not lines[at].startswith("diff --git "):
            at += 1
        return [DiffLine(LineKind.NOTE, "a binary file")], at
    shown: list[DiffLine] = []
    while at < len(lines) and (hunk := _HUNK.match(lines[at])):
        found, at = _hunk(lines, at, hunk)
        shown += found
    return shown, at


def _hunk(lines: list[str], at: int, header: re.Match[str]) -> tuple[list[DiffLine], int]:
    old, new = int(header[1]), int(header[3])
    old_end, new_end = old + int(header[2] or 1), new + int(header[4] or 1)
    shown = [DiffLine(LineKind.HUNK, _shown(lines[at]))]
    at += 1
    while at < len(lines) and (old < old_end or new < new_end or lines[at].startswith("\\")):
        mark, text = lines[at][:1], _shown(lines[at][1:])
        if mark == "+":
            shown.append(DiffLine(LineKind.ADDED, text, 0, new))
        elif mark == "-":
            shown.append(DiffLine(LineKind.REMOVED, text, old, 0))
        elif mark == "\\":
            shown.append(DiffLine(LineKind.NOTE, text.strip()))
        else:
            shown.append(DiffLine(LineKind.SAME, text, old, new))
        old += mark not in ("+", "\\")
        new += mark not in ("-", "\\")
        at += 1
    return shown, at


def _path(header: list[str]) -> str:
    """The new path; the old one of a file that went. A file without hunks is named by its first line only."""
    names = {line[:4]: line[4:].rstrip("\t") for line in header[1:] if line.startswith(("--- ", "+++ "))}
    for mark in ("+++ ", "--- "):
        if names.get(mark, "/dev/null") != "/dev/null":
            return visible(_unquoted(names[mark])[2:], keep="")
    renamed = [line.removeprefix("rename to ") for line in header if line.startswith("rename to ")]
    return visible(_unquoted(renamed[0]) if renamed else header[0].removeprefix("diff --git "), keep="")


def _unquoted(name: str) -> str:
    return unquote(name.encode("utf-8", "surrogateescape"))


def _shown(line: str) -> str:
    return shorten(visible(line, keep="\t"), MOST_COLUMNS)
