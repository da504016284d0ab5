"""Worktrees: lent, snapshot, restored, taken back."""

import asyncio
import os
from pathlib import Path

import pytest

from bullpen.domain.errors import InvalidInput, UnusableRepository
from bullpen.vcs.commits import tree_of
from bullpen.vcs.mirror import fetch_mirror
from bullpen.vcs.source import open_source
from bullpen.vcs.trees import list_tree, read_file
from bullpen.vcs.worktrees import (
    prune_worktrees,
    release_worktree,
    reset_worktree,
    restore_tree,
    snapshot_tree,
    take_worktree,
)

pytestmark = pytest.mark.req("GIT-01")


@pytest.fixture
async def mirror(user, tmp_path):
    return await fetch_mirror(await open_source(str(user.path)), tmp_path / "mirrors")


@pytest.fixture
async def worktree(mirror, tmp_path):
    return await take_worktree(mirror.path, tmp_path / "trees", "item-1", mirror.base)


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".git")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


async def test_an_owner_finds_its_worktree_as_it_left_it(mirror, worktree, tmp_path):
    (worktree.path / "a.py").write_text("mine\n")
    again = await take_worktree(mirror.path, tmp_path / "trees", "item-1", mirror.base)
    assert again == worktree
    assert (again.path / "a.py").read_text() == "mine\n"


async def test_a_released_worktree_is_lent_again_clean(user, mirror, worktree, tmp_path):
    (worktree.path / "a.py").write_text("dirty\n")
    (worktree.path / "__pycache__").mkdir()
    (worktree.path / "__pycache__" / "x.pyc").write_bytes(b"x")
    (worktree.path / "left behind").write_text("x")
    await release_worktree(worktree)
    first = user.git("rev-parse", "HEAD~1")
    other = await take_worktree(mirror.path, tmp_path / "trees", "item-2", first)
    assert other.path == worktree.path
    assert content(other.path) == {"README.md": b"# Project\n", "a.py": b"x = 1\ny = 2\n"}
    assert await snapshot_tree(other) == await tree_of(mirror.path, first)


async def test_many_owners_at_once_get_worktrees_of_their_own(mirror, tmp_path):
    owners = [f"item-{number % 4}" for number in range(8)]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(take_worktree(mirror.path, tmp_path / "trees", owner, mirror.base))
            for owner in owners
        ]
    taken = [task.result() for task in tasks]
    assert len({one.path for one in taken}) == 4
    assert {one.path for one in taken[:4]} == {one.path for one in taken[4:]}


async def test_pruning_removes_what_nobody_owns(mirror, worktree, tmp_path):
    other = await take_worktree(mirror.path, tmp_path / "trees", "item-2", mirror.base)
    assert await prune_worktrees(mirror.path, tmp_path / "trees", ["item-2"]) == 1
    assert not worktree.path.exists()
    assert not worktree.git_dir.exists()
    assert other.path.is_dir()
    assert await prune_worktrees(mirror.path, tmp_path / "trees", ()) == 1
    assert not other.path.exists()
    assert [one.name for one in other.path.parent.iterdir()] == ["worktrees.lock"]


async def test_what_a_killed_pruning_left_is_discarded_by_the_next(mirror, worktree, tmp_path):
    left = worktree.path.parent / "trash-0123"
    (left / "deep" / "er").mkdir(parents=True)
    (left / "deep").chmod(0o500)
    assert await prune_worktrees(mirror.path, tmp_path / "trees", ["item-1"]) == 0
    assert not left.exists()
    assert worktree.path.is_dir()


async def test_one_half_made_is_made_anew(mirror, worktree, tmp_path):
    (worktree.git_dir / "snapshot-index").unlink()
    (worktree.git_dir / "HEAD").write_text("")
    again = await take_worktree(mirror.path, tmp_path / "trees", "item-1", mirror.base)
    assert again.path == worktree.path
    assert await snapshot_tree(again) == await tree_of(mirror.path, mirror.base)


async def test_locks_of_a_killed_git_are_not_in_the_way(mirror, worktree):
    for name in ("index.lock", "snapshot-index.lock"):
        (worktree.git_dir / name).write_text("")
    assert await snapshot_tree(worktree) == await tree_of(mirror.path, mirror.base)
    (worktree.git_dir / "index.lock").write_text("")
    await reset_worktree(worktree, mirror.base)


async def test_a_snapshot_sees_every_kind_of_change(mirror, worktree):
    (worktree.path / "a.py").unlink()
    (worktree.path / "new").mkdir()
    (worktree.path / "new" / os.fsdecode(b"caf\xe9\n")).write_text("new\n")
    (worktree.path / "run.sh").write_text("#!/bin/sh\n")
    (worktree.path / "run.sh").chmod(0o755)
    (worktree.path / "link").symlink_to("/etc/passwd")
    (worktree.path / "__pycache__").mkdir()
    (worktree.path / "__pycache__" / "a.pyc").write_bytes(b"x")
    tree = await snapshot_tree(worktree)
    found = {entry.path: entry.mode for entry in await list_tree(mirror.path, tree)}
    odd = f"new/{os.fsdecode(b'caf' + bytes([0xE9]))}\n"
    assert found == {"README.md": "100644", "link": "120000", odd: "100644", "run.sh": "100755"}
    assert await read_file(mirror.path, tree, "link") == b"/etc/passwd"


async def test_a_change_of_the_same_size_and_time_is_seen(mirror, worktree):
    file = worktree.path / "a.py"
    before = file.stat()
    await snapshot_tree(worktree)
    file.write_text("x = 9\ny = 3\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    tree = await snapshot_tree(worktree)
    assert await read_file(mirror.path, tree, "a.py") == b"x = 9\ny = 3\n"


async def test_restoring_brings_back_every_file(mirror, worktree):
    start = await snapshot_tree(worktree)
    (worktree.path / "a.py").write_text("one\n")
    (worktree.path / "extra").write_text("x")
    middle = await snapshot_tree(worktree)
    (worktree.path / "a.py").unlink()
    (worktree.path / "a.py").mkdir()
    (worktree.path / "a.py" / "b").write_text("x")
    (worktree.path / "README.md").unlink()
    await restore_tree(worktree, middle)
    assert content(worktree.path) == {"README.md": b"# Project\n", "a.py": b"one\n", "extra": b"x"}
    assert await snapshot_tree(worktree) == middle
    await restore_tree(worktree, start)
    assert content(worktree.path) == {"README.md": b"# Project\n", "a.py": b"x = 1\ny = 3\n"}
    assert await snapshot_tree(worktree) == start


@pytest.mark.req("BOX-04")
async def test_a_folder_replaced_by_a_link_leads_nowhere(user, tmp_path):
    user.write("src/file", "tracked\n")
    user.commit("folder")
    mirror = await fetch_mirror(await open_source(str(user.path)), tmp_path / "mirrors")
    worktree = await take_worktree(mirror.path, tmp_path / "trees", "one", mirror.base)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("precious\n")
    (outside / "other").write_text("precious\n")
    (worktree.path / "src" / "file").unlink()
    (worktree.path / "src").rmdir()
    (worktree.path / "src").symlink_to(outside)
    tree = await snapshot_tree(worktree)
    assert {entry.path: entry.mode for entry in await list_tree(mirror.path, tree)}["src"] == "120000"
    await restore_tree(worktree, mirror.base)
    (worktree.path / "src" / "file").unlink()
    (worktree.path / "src").rmdir()
    (worktree.path / "src").symlink_to(outside)
    await reset_worktree(worktree, mirror.base)
    assert (worktree.path / "src" / "file").read_text() == "tracked\n"
    assert content(outside) == {"file": b"precious\n", "other": b"precious\n"}


@pytest.mark.req("BOX-04")
async def test_a_pipe_in_place_of_a_file_is_refused_and_removed(mirror, worktree):
    (worktree.path / "a.py").unlink()
    os.mkfifo(worktree.path / "a.py")
    with pytest.raises(UnusableRepository, match="cannot be recorded"):
        await snapshot_tree(worktree)
    await restore_tree(worktree, mirror.base)
    assert (worktree.path / "a.py").read_text() == "x = 1\ny = 3\n"


@pytest.mark.req("BOX-04")
async def test_a_tree_deeper_than_any_path_name_is_cleared_away(mirror, worktree, tmp_path):
    descriptor = os.open(worktree.path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("deep", dir_fd=descriptor)
        deeper = os.open("deep", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = deeper
    os.close(descriptor)
    await release_worktree(worktree)
    other = await take_worktree(mirror.path, tmp_path / "trees", "item-2", mirror.base)
    assert await snapshot_tree(other) == await tree_of(mirror.path, mirror.base)
    assert not (other.path / "deep").exists()


@pytest.mark.parametrize("owner", ["", "a b", "x\n", "\0"])
async def test_an_owner_needs_a_name(mirror, tmp_path, owner):
    with pytest.raises(InvalidInput):
        await take_worktree(mirror.path, tmp_path / "trees", owner, mirror.base)


async def test_a_commit_without_files(make_repository, tmp_path):
    repository = make_repository("empty")
    repository.commit("nothing")
    mirror = await fetch_mirror(await open_source(str(repository.path)), tmp_path / "mirrors")
    worktree = await take_worktree(mirror.path, tmp_path / "trees", "one", mirror.base)
    tree = await snapshot_tree(worktree)
    (worktree.path / "first").write_text("1")
    assert [entry.path for entry in await list_tree(mirror.path, await snapshot_tree(worktree))] == ["first"]
    await restore_tree(worktree, tree)
    assert content(worktree.path) == {}
