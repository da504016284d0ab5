"""Scanning a workspace: what counts as changed, whatever a hostile program left there."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bullpen.sandbox.changes import compare, scan

NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda name: not {0, 47} & set(name) and name not in (b".", b"..", b".git")
)


@pytest.mark.req("BOX-06")
@settings(max_examples=60, deadline=None)
@given(
    before=st.dictionaries(NAMES, st.binary(max_size=8), max_size=6),
    after=st.dictionaries(NAMES, st.binary(max_size=8), max_size=6),
)
def test_exactly_the_touched_names_are_found(before: dict[bytes, bytes], after: dict[bytes, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for file, data in before.items():
            (root / os.fsdecode(file)).write_bytes(data)
        first = scan(Path(name))
        for file in before.keys() - after.keys():
            (root / os.fsdecode(file)).unlink()
        touched = {file for file, data in after.items() if before.get(file) != data}
        for file in touched:
            path = root / os.fsdecode(file)
            path.with_name("..new").write_bytes(after[file])
            path.with_name("..new").replace(path)
        expected = sorted(os.fsdecode(file) for file in touched | (before.keys() - after.keys()))
        assert list(compare(first, scan(Path(name)))) == expected


def test_links_are_marked_and_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("x")
    root = tmp_path / "root"
    root.mkdir()
    (root / "loop").symlink_to(".")
    (root / "away").symlink_to(outside)
    assert set(scan(root)) == {"loop", "away"}


def test_of_git_only_its_presence_counts(tmp_path: Path) -> None:
    empty = scan(tmp_path)
    (tmp_path / "sub" / ".git").mkdir(parents=True)
    found = scan(tmp_path)
    (tmp_path / "sub" / ".git" / "index").write_text("x")
    assert compare(empty, found) == ("sub/.git",)
    assert compare(found, scan(tmp_path)) == ()


def test_a_change_of_mode_is_a_change(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("x")
    before = scan(tmp_path)
    (tmp_path / "run").chmod(0o755)
    assert compare(before, scan(tmp_path)) == ("run",)


def test_a_tree_deeper_than_a_path_may_be_long_is_survived(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 100, dir_fd=here)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    marks = scan(tmp_path)
    assert len(marks) == 1
    assert next(iter(marks)).startswith("d" * 100)
