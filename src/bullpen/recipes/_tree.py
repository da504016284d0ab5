"""Which files a worktree holds, found without following a link."""

import os
import posixpath
from dataclasses import dataclass
from pathlib import Path

NOT_OURS = frozenset({".git", ".hg", ".svn", "node_modules", ".venv", "venv", ".tox", ".nox", "__pycache__"})
MOST_FILES = 100_000


@dataclass(frozen=True, slots=True)
class Tree:
    """Paths relative to the root, with forward slashes. ``whole`` is false if there were too many to list."""

    files: frozenset[str]
    folders: frozenset[str]
    whole: bool = True

    def __contains__(self, path: str) -> bool:
        return path in self.files or path in self.folders


def read_tree(root: Path) -> Tree:
    """All files and folders under ``root`` but the version control's, the environments' and the packages'."""
    files: set[str] = set()
    folders = {"."}
    for folder, inside, names in os.walk(root):
        inside[:] = sorted(name for name in inside if name not in NOT_OURS)
        here = posixpath.normpath(os.path.relpath(folder, root))
        folders.update(posixpath.normpath(posixpath.join(here, name)) for name in inside)
        files.update(posixpath.normpath(posixpath.join(here, name)) for name in names)
        if len(files) > MOST_FILES:
            return Tree(frozenset(files), frozenset(folders), whole=False)
    return Tree(frozenset(files), frozenset(folders))
