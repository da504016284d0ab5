"""Edits as values: what a recipe proposes, before anything is written."""

from dataclasses import dataclass
from enum import StrEnum


class Applicability(StrEnum):
    """How far a change may be trusted (the words of ruff's fixes)."""

    SAFE = "safe"  # meaning is kept
    UNSAFE = "unsafe"  # meaning may change: needs approval
    DISPLAY = "display"  # shown to people, never applied


@dataclass(frozen=True, slots=True)
class Site:
    """One place in a file a recipe is asked to mend. Lines and columns start at 1."""

    line: int
    column: int = 1
    end_line: int = 0
    rule: str = ""
    message: str = ""
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class FileChange:
    """A whole new content for one file; ``before`` None means the file is new, ``after`` None that it goes."""

    path: str
    before: bytes | None
    after: bytes | None
