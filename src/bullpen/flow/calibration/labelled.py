"""Labelled changes: a project, a fault in it, and an edit that is known to be good or bad.

A set is a folder: ``project/NAME.toml`` holds the project, ``*.toml`` beside it hold the changes.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bullpen.domain.errors import InvalidInput

_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_MEND = "Mend the file; nothing was judged."


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


class _ProjectFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    files: dict[str, str]
    plugins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Project:
    """The project all changes of a set are made to. ``plugins`` are the modules of pytest plugins its tests need."""

    files: Mapping[str, bytes]
    plugins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A project and the changes somebody decided about."""

    project: Project
    changes: tuple[LabelledChange, ...]


def read_set(folder: Path) -> LabelledSet:
    """The labelled set of a folder, with every edit tried on the project.

    Raises:
        InvalidInput: a file is not as it should be, with the file, the line and what to do; or there is no project,
            or no change.
    """
    projects = sorted((folder / "project").glob("*.toml"))
    if len(projects) != 1:
        raise InvalidInput(
            f"{folder / 'project'} holds {len(projects)} TOML files; there must be one, the project.",
            remedy="Write the project's files into project/NAME.toml: [files], then \"PATH\" = '''CONTENT'''.",
        )
    project, changes = read_project(projects[0]), tuple(read_labelled(folder))
    if not changes:
        raise InvalidInput(
            f"{folder} holds no labelled change.", remedy="Write [[change]] tables into a .toml file in it."
        )
    return LabelledSet(project, changes)


def read_project(path: Path) -> Project:
    """The project all changes are made to, from a TOML table ``files``; ``plugins`` above it is optional.

    Raises:
        InvalidInput: it is not such a file.
    """
    text = _text(path)
    try:
        read = _ProjectFile.model_validate(_toml(text, path))
    except ValidationError as error:
        raise _unfit(error, path, text.splitlines(), 0, "the project") from error
    return Project({name: content.encode() for name, content in read.files.items()}, read.plugins)


def read_labelled(folder: Path) -> list[LabelledChange]:
    """Every ``*.toml`` of a folder; each holds ``[[change]]`` tables.

    Raises:
        InvalidInput: one of them is not such a file, or two changes have one name.
    """
    changes: list[LabelledChange] = []
    for path in sorted(folder.glob("*.toml")):
        for change in _read_changes(path):
            if any(change.name == other.name for other in changes):
                raise InvalidInput(f"{path}: two changes are called {change.name!r}.", remedy=_MEND)
            changes.append(change)
    return changes


def _read_changes(path: Path) -> list[LabelledChange]:
    text = _text(path)
    loaded = _toml(text, path)
    tables = loaded.get("change")
    if set(loaded) != {"change"} or not isinstance(tables, list):
        raise InvalidInput(f"{path}, line 1: only [[change]] tables belong here.", remedy=_MEND)
    lines = text.splitlines()
    heads = [number for number, line in enumerate(lines) if line.strip() == "[[change]]"]
    changes: list[LabelledChange] = []
    for number, table in enumerate(tables):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        head = heads[number] if len(heads) == len(tables) else 0  # pyright: ignore[reportUnknownArgumentType]
        try:
            changes.append(LabelledChange.model_validate(table))
        except ValidationError as error:
            raise _unfit(error, path, lines, head, f"change {number + 1}") from error
    return changes


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.", remedy="Save it as UTF-8 text.") from error


def _toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        line = int(found[1]) if found else len(text.splitlines())
        words = _LINE.sub("", str(error)).strip()
        raise InvalidInput(f"{path}, line {line}: this is not TOML: {words}.", remedy=_MEND) from error


def _unfit(error: ValidationError, path: Path, lines: Sequence[str], head: int, what: str) -> InvalidInput:
    """The first thing that does not fit, at the line of its key, or at the head of its table where it has none."""
    first = error.errors()[0]
    keys = [str(part) for part in first["loc"] if isinstance(part, str)]
    line = next(
        (
            n
            for n in range(head, len(lines))
            if keys and re.match(rf'\s*"?{re.escape(keys[-1])}"?\s*=', lines[n])
        ),
        head,
    )
    missing = first["type"] == "missing"
    return InvalidInput(
        f"{path}, line {(head if missing else line) + 1}: {what}: {'.'.join(keys) or 'the table'}: {first['msg']}.",
        remedy=f"Add {keys[-1]} to it." if missing and keys else _MEND,
    )


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
        raise InvalidInput(
            f"{edit.path} does not hold this text exactly once: {edit.old!r}.",
            remedy="Quote it as it stands in the project, with enough around it.",
        )
    return content.replace(edit.old.encode(), new)
