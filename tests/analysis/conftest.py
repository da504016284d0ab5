"""Real parts for the tests of analysers: a tree on disk with its blob hashes, and a sandbox that works here."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bullpen.analysis.base import SourceTree


def tree_of(root: Path, files: Mapping[str, str | bytes]) -> SourceTree:
    """Write the files and describe them as a checked-out commit is described."""
    hashes: dict[str, str] = {}
    for path, content in files.items():
        raw = content.encode() if isinstance(content, str) else content
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(raw)
        hashes[path] = hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()
    return SourceTree(root, hashes)


MakeTree = Callable[[Mapping[str, str | bytes]], SourceTree]


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """Each call makes a fresh tree."""
    made = 0

    def make(files: Mapping[str, str | bytes]) -> SourceTree:
        nonlocal made
        made += 1
        root = tmp_path / f"tree{made}"
        root.mkdir()
        return tree_of(root, files)

    return make
