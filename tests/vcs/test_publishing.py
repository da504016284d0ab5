"""Handing a branch over without touching anything else."""

import shutil

import pytest

from bullpen.domain.errors import Conflict, InvalidInput, NotFound
from bullpen.vcs.commits import BULLPEN, commit_tree, put_files, tree_of, update_ref
from bullpen.vcs.mirror import fetch_mirror
from bullpen.vcs.publish import publish_branch, push_branch
from bullpen.vcs.repositories import init_repository
from bullpen.vcs.source import open_source

pytestmark = [pytest.mark.req("GIT-01"), pytest.mark.req("IMP-05")]

BRANCH = "bullpen/ses-1"


async def worked(user, tmp_path, *, branch=BRANCH, content=b"x = 1\n", parent=None, where=None):
    """A source, its mirror, and a branch there with one commit on top of the source's head."""
    source = await open_source(str(where or user.path))
    mirror = await fetch_mirror(source, tmp_path / "mirrors")
    start = parent or mirror.base
    tree = await put_files(mirror.path, await tree_of(mirror.path, start), {"a.py": content})
    made = await commit_tree(mirror.path, tree, (start,), "Bullpen's work", BULLPEN, 5)
    await update_ref(mirror.path, f"refs/heads/{branch}", made, parent)
    return source, mirror.path, made


def untouchable(path) -> dict[str, bytes | str]:
    """Everything of the user's that must not change: all files but objects and the one ref with its log."""
    kept: dict[str, bytes | str] = {}
    for file in path.rglob("*"):
        inner = str(file.relative_to(path))
        if file.is_file() and not inner.startswith(".git/objects") and "bullpen" not in inner:
            info = file.lstat()
            kept[inner] = f"{info.st_mode} {info.st_mtime_ns} {info.st_ino}"
            kept[f"{inner}:content"] = file.read_bytes()
    return kept


async def test_a_branch_appears_and_nothing_else_changes(user, tmp_path):
    user.git("worktree", "add", "--quiet", str(tmp_path / "linked"))
    user.git("stash", "list")
    user.write("a.py", "uncommitted\n")
    user.write("staged.py", "staged\n")
    user.git("add", "staged.py")
    user.write("untracked", "x")
    source, mirror, made = await worked(user, tmp_path)
    before, status = (
        untouchable(user.path),
        user.git("--no-optional-locks", "status", "--porcelain=v2", "--branch"),
    )
    published = await publish_branch(mirror, BRANCH, source)
    assert untouchable(user.path) == before
    assert user.git("--no-optional-locks", "status", "--porcelain=v2", "--branch") == status
    assert (published.commit, published.repository, published.in_users_repository) == (made, user.path, True)
    assert user.git("rev-parse", BRANCH) == made
    assert user.git("fsck", "--strict") == ""
    assert published.next_step == f"git -C {user.path} switch {BRANCH}"


async def test_the_branch_stands_when_the_mirror_is_gone(user, tmp_path):
    source, mirror, _ = await worked(user, tmp_path)
    await publish_branch(mirror, BRANCH, source)
    shutil.rmtree(mirror)
    assert user.git("show", f"{BRANCH}:a.py") == "x = 1"


async def test_publishing_again_moves_forward_only(user, tmp_path):
    source, mirror, made = await worked(user, tmp_path)
    await publish_branch(mirror, BRANCH, source)
    await publish_branch(mirror, BRANCH, source)
    _, _, further = await worked(user, tmp_path, content=b"x = 2\n", parent=made)
    await publish_branch(mirror, BRANCH, source)
    assert user.git("rev-parse", BRANCH) == further
    await update_ref(mirror, f"refs/heads/{BRANCH}", source.head, further)
    user.git("branch", "--force", BRANCH, user.git("commit-tree", "-m", "theirs", "HEAD^{tree}"))
    theirs = user.git("rev-parse", BRANCH)
    with pytest.raises(Conflict, match="already has a branch in the way"):
        await publish_branch(mirror, BRANCH, source)
    assert user.git("rev-parse", BRANCH) == theirs


async def test_a_branch_that_is_checked_out_is_refused(user, tmp_path):
    source, mirror, _ = await worked(user, tmp_path)
    user.git("worktree", "add", "--quiet", "-b", BRANCH, str(tmp_path / "linked"))
    with pytest.raises(Conflict, match="is checked out"):
        await publish_branch(mirror, BRANCH, source)
    assert user.git("rev-parse", BRANCH) == source.head


async def test_a_branch_in_the_way_of_the_name_is_refused(user, tmp_path):
    source, mirror, _ = await worked(user, tmp_path)
    user.git("branch", "bullpen")
    with pytest.raises(Conflict, match="already has a branch in the way"):
        await publish_branch(mirror, BRANCH, source)


async def test_to_a_bare_a_shallow_and_a_linked_repository(user, tmp_path):
    user.git("clone", "--quiet", "--bare", str(user.path), str(tmp_path / "bare.git"))
    user.git("clone", "--quiet", "--depth=1", user.path.as_uri(), str(tmp_path / "shallow"))
    user.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "linked"))
    for name in ("bare.git", "shallow", "linked"):
        source, mirror, made = await worked(user, tmp_path, where=tmp_path / name)
        await publish_branch(mirror, BRANCH, source)
        assert user.git("-C", str(tmp_path / name), "rev-parse", BRANCH) == made


async def test_a_checked_out_branch_of_a_bare_repository_is_refused(user, tmp_path):
    user.git("clone", "--quiet", "--bare", str(user.path), str(tmp_path / "bare.git"))
    source, mirror, _ = await worked(user, tmp_path, where=tmp_path / "bare.git", branch="main")
    with pytest.raises(Conflict):
        await publish_branch(mirror, "main", source)


@pytest.mark.parametrize("branch", ["../x", "a b", "x.lock", "", "-"])
async def test_names_that_are_no_branches_are_refused(user, tmp_path, branch):
    source, mirror, _ = await worked(user, tmp_path)
    with pytest.raises((InvalidInput, NotFound)):
        await publish_branch(mirror, branch, source)


async def test_pushing_to_a_remote_never_forces(user, tmp_path):
    remote = await init_repository(tmp_path / "remote.git", bare=True)
    _, mirror, made = await worked(user, tmp_path)
    await push_branch(mirror, BRANCH, str(remote.path))
    assert user.git("--git-dir", str(remote.path), "rev-parse", BRANCH) == made
    await update_ref(mirror, f"refs/heads/{BRANCH}", (await open_source(str(user.path))).head, made)
    with pytest.raises(Conflict, match="another history"):
        await push_branch(mirror, BRANCH, str(remote.path))
