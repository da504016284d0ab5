"""Style: what the project's own configuration asks of files, and where it asks nothing, what the file looks like."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from bullpen.domain.change import FileChange
from bullpen.flow.guarding.paths import is_code_path
from bullpen.flow.styling.editor import editor_problems, line_limit
from bullpen.flow.styling.machine_tools import machine_problems
from bullpen.flow.styling.python_tools import python_problems, python_width
from bullpen.sandbox.base import Sandbox

WIDE = 100  # characters, where a project does not say
MUCH = 1.2


async def style_problems(root: Path, paths: Sequence[str], sandbox: Sandbox) -> frozenset[str]:
    """What the project's own configuration has against files: ``path: rule`` with a count, and files not formatted.

    Of ruff, black, isort, flake8, gofmt, prettier, biome, eslint and ``.editorconfig``; empty where none is configured.
    What a change brings is what is there after it and was not before.
    """
    if not paths:
        return frozenset()
    python = [path for path in paths if path.endswith(".py")]
    found = frozenset(words for path in paths for words in _editor(root, path))
    found |= await python_problems(root, python, sandbox) if python else frozenset()
    return found | await machine_problems(root, paths, sandbox)


def _editor(root: Path, path: str) -> Iterator[str]:
    place = root / path
    if not place.is_symlink() and place.is_file():
        yield from editor_problems(root, path, place.read_bytes())


def widest_lines(root: Path, changes: Sequence[FileChange]) -> list[str]:
    """``path:line: …`` of lines of code much wider than any the file had, and than the project says where it does."""
    return [words for change in changes for words in _wider(root, change)]


def _wider(root: Path, change: FileChange) -> Iterator[str]:
    if not change.before or not change.after or not is_code_path(change.path):
        return
    before, after = _lines(change.before), _lines(change.after)
    widest = max([_allowed(root, change.path), *map(len, before)])
    known = frozenset(before)
    for number, line in enumerate(after, start=1):
        if len(line) > MUCH * widest and line not in known:
            yield f"{change.path}:{number}: {len(line)} wide, where no line was wider than {max(map(len, before))}"


def _allowed(root: Path, path: str) -> int:
    """The width a project has named for a file, also where no tool of its checks it; else a usual one."""
    python = python_width(root) if path.endswith(".py") else None
    return python or line_limit(root, path) or WIDE


def _lines(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").splitlines()
