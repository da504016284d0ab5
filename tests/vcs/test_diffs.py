"""Diffs: what git writes, read back; what was read, applied again."""

import asyncio
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bullpen.domain.errors import Conflict
from bullpen.vcs.commits import put_files
from bullpen.vcs.diffs import apply_patch, changed_lines, diff_trees, unquote
from bullpen.vcs.git import git
from bullpen.vcs.repositories import init_repository

pytestmark = pytest.mark.req("GIT-01")


@pytest.fixture(scope="module")
def repo(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("diffs") / "repo.git"
    asyncio.run(init_repository(path, bare=True))
    return path


async def tree(repo: Path, **files: bytes | None) -> str:
    empty = (await git(repo, "mktree")).text
    return await put_files(repo, empty, {name.replace("__", "."): content for name, content in files.items()})


async def test_files_hunks_and_lines(repo):
    lines = [f"{number}\n".encode() for number in range(1, 41)]
    old = await tree(repo, a=b"".join(lines), gone=b"x\n")
    new = await tree(
        repo, a=b"".join([*lines[:4], b"five\n", *lines[5:30], *lines[31:], b"end"]), fresh=b"1\n2\n"
    )
    diff = await diff_trees(repo, old, new)
    found = {file.path: file for file in diff.files}
    assert {path: file.status for path, file in found.items()} == {"a": "M", "gone": "D", "fresh": "A"}
    assert [(h.old_start, h.removed, h.added) for h in found["a"].hunks] == [
        *((2, (5,), (5,)), (28, (31,), ()), (38, (), (40,)))
    ]
    assert (diff.added, diff.removed) == (4, 3)
    assert changed_lines(diff) == {"a": frozenset({5, 40}), "fresh": frozenset({1, 2})}


async def test_a_rename_with_a_change(repo):
    text = b"".join(f"line {number}\n".encode() for number in range(30))
    diff = await diff_trees(repo, await tree(repo, old=text), await tree(repo, new=text + b"more\n"))
    (file,) = diff.files
    assert (file.status, file.old_path, file.path, file.added) == ("R", "old", "new", 1)
    plain = await diff_trees(repo, await tree(repo, old=text), await tree(repo, new=text), renames=False)
    assert [(file.status, file.path) for file in plain.files] == [("A", "new"), ("D", "old")]


async def test_binary_files_and_changes_of_mode_and_type(repo):
    old = await tree(repo, binary=b"\0a", script=b"x\n", file=b"text\n")
    entries = (entry.split() for entry in await listing(repo, old))
    names = {path: blob for _, _, blob, path in entries}
    spec = (
        f"100644 blob {(await git(repo, 'hash-object', '-w', '--stdin', stdin=b'b' + bytes(1))).text}\tbinary\x00"
        f"120000 blob {names['file']}\tfile\x00100755 blob {names['script']}\tscript\x00"
    )
    new = (await git(repo, "mktree", "-z", stdin=spec.encode())).text
    diff = await diff_trees(repo, old, new)
    found = {file.path: (file.status, file.new_mode, file.binary) for file in diff.files}
    assert found == {
        "binary": ("M", "100644", True),
        "file": ("T", "120000", False),
        "script": ("M", "100755", False),
    }
    assert "binary" not in changed_lines(diff)
    assert await apply_patch(repo, old, diff.patch) == new


async def listing(repo: Path, treeish: str) -> list[str]:
    return (await git(repo, "ls-tree", "-z", treeish)).fields()


async def test_content_that_looks_like_a_patch(repo):
    evil = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\nBinary files x\n"
    diff = await diff_trees(
        repo, await tree(repo, a=b"-- a/x\n++ b/x\n", z=b"1\n"), await tree(repo, a=evil, z=b"2\n")
    )
    assert [(file.path, file.binary, file.added) for file in diff.files] == [("a", False, 8), ("z", False, 1)]


async def test_a_patch_that_does_not_fit_is_refused(repo):
    diff = await diff_trees(repo, await tree(repo, a=b"1\n"), await tree(repo, a=b"2\n"))
    with pytest.raises(Conflict, match="patch does not apply"):
        await apply_patch(repo, await tree(repo, a=b"3\n"), diff.patch)


async def test_nothing_changed(repo):
    same = await tree(repo, a=b"1\n")
    diff = await diff_trees(repo, same, same)
    assert (diff.files, diff.patch) == ((), b"")
    assert await apply_patch(repo, same, b"") == same


names = st.binary(min_size=1, max_size=12).filter(
    lambda name: (
        not set(name) & {0, ord("/")} and name.lower().strip(b". ") not in (b"", b"git") and b"~" not in name
    )
)
text = st.lists(
    st.sampled_from([b"a", b"b", b"", b"- x", b"+ y", b"@@ -1 +1 @@", b"diff --git a/a b/a", b"\r", b"\xff"])
)
bodies = st.one_of(
    text.map(b"\n".join), text.map(b"\n".join).map(lambda body: body + b"\n"), st.binary(max_size=60)
)
folders = st.dictionaries(names.map(os.fsdecode), bodies, max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=folders, after=folders)
def test_a_diff_applied_gives_the_new_tree_and_counts_its_lines(repo, before, after):
    async def check() -> None:
        empty = (await git(repo, "mktree")).text
        old, new = await put_files(repo, empty, before), await put_files(repo, empty, after)
        diff = await diff_trees(repo, old, new, renames=False)
        assert await apply_patch(repo, old, diff.patch) == new
        assert {file.path for file in diff.files} == {
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        }
        for file in diff.files:
            if not file.binary:
                assert rebuilt(before.get(file.path, b""), after.get(file.path, b""), file.hunks)

    asyncio.run(check())


def rebuilt(old: bytes, new: bytes, hunks) -> bool:
    """Without the removed lines of the old and the added lines of the new, both are the same."""
    removed = {line for hunk in hunks for line in hunk.removed}
    added = {line for hunk in hunks for line in hunk.added}
    kept = [line for number, line in enumerate(lines_of(old), 1) if number not in removed]
    return kept == [line for number, line in enumerate(lines_of(new), 1) if number not in added]


def lines_of(content: bytes) -> list[bytes]:
    """Lines as git counts them: a last one without its end is another line."""
    return re.findall(rb"[^\n]*\n|[^\n]+$", content)


@given(st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name))
def test_quoted_names_are_read_back(name):
    escapes = {
        7: b"\\a",
        8: b"\\b",
        9: b"\\t",
        10: b"\\n",
        11: b"\\v",
        12: b"\\f",
        13: b"\\r",
        34: b'\\"',
        92: b"\\\\",
    }
    quoted = b"".join(
        escapes.get(b) or (bytes([b]) if 32 <= b < 127 else f"\\{b:03o}".encode()) for b in name
    )
    assert os.fsencode(unquote(b'"' + quoted + b'"')) == name
