"""Labelled changes: a project, a fault in it, and an edit that is known to be good or bad."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bullpen.domain.errors import InvalidInput


class Edit(BaseModel):
    """One replacement in a file. Without ``old`` the whole file is ``new``; without ``new`` it goes.

    ``moved`` is another path the file is moved to, after the replacement; ``mode`` what the file may be used for then,
    ``755`` for a program and ``644`` for anything else.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    old: str | None = None
    new: str | None = None
    moved: str = ""
    mode: Literal["", "644", "755"] = ""


class LabelledChange(BaseModel):
    """A change somebody decided about. ``line`` chooses among several findings of ``rule``; 0 takes all in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    good: bool
    why: str
    rule: str
    path: str
    line: int = 0
    kind: str = "general"
    edit: tuple[Edit, ...]


def read_project(path: Path) -> Mapping[str, bytes]:
    """The files of the project all changes are made to, from a TOML table ``files``."""
    files: Mapping[str, str] = tomllib.loads(path.read_text("utf-8"))["files"]
    return {name: text.encode() for name, text in files.items()}


def read_labelled(folder: Path) -> list[LabelledChange]:
    """Every ``*.toml`` of a folder; each holds ``[[change]]`` tables."""
    changes: list[LabelledChange] = []
    for path in sorted(folder.glob("*.toml")):
        tables = tomllib.loads(path.read_text("utf-8"))["change"]
        changes += [LabelledChange.model_validate(table) for table in tables]
    return changes


def edited(files: Mapping[str, bytes], edits: Sequence[Edit]) -> dict[str, bytes | None]:
    """The files an edit changes, with their new content.

    Raises:
        InvalidInput: the text to replace is not there exactly once.
    """
    changed: dict[str, bytes | None] = {}
    for edit in edits:
        content = changed.get(edit.path, files.get(edit.path))
        after = None if edit.new is None else _replaced(edit, content or b"")
        if edit.moved:
            changed[edit.moved], after = (content if edit.new is None else after), None
        changed[edit.path] = after
    return changed


def _replaced(edit: Edit, content: bytes) -> bytes:
    new = (edit.new or "").encode()
    if edit.old is None:
        return new
    if content.count(edit.old.encode()) != 1:
        raise InvalidInput(f"{edit.path} does not hold this text exactly once: {edit.old!r}.")
    return content.replace(edit.old.encode(), new)
