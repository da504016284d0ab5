"""A repository whose hooks, configuration and attributes try to run a program: nothing of it runs.

Every trap, if sprung, makes a canary file.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bullpen.domain.errors import BullpenError, UnusableRepository
from bullpen.vcs.commits import (
    BULLPEN,
    blame,
    cherry_pick_tree,
    commit_tree,
    log,
    merge_commits,
    rebase,
    update_ref,
)
from bullpen.vcs.diffs import diff_trees
from bullpen.vcs.git import HARDENED, git
from bullpen.vcs.history import read_history
from bullpen.vcs.mirror import fetch_mirror
from bullpen.vcs.publish import publish_branch
from bullpen.vcs.repositories import clone, remotes
from bullpen.vcs.source import open_source
from bullpen.vcs.trees import read_file
from bullpen.vcs.worktrees import reset_worktree, restore_tree, snapshot_tree, take_worktree

pytestmark = [pytest.mark.req("BOX-04"), pytest.mark.req("IMP-05")]

HOOKS = (
    *("applypatch-msg", "commit-msg", "fsmonitor-watchman", "post-applypatch", "post-checkout"),
    *("post-commit", "post-index-change", "post-merge", "post-receive", "post-rewrite"),
    *("post-update", "pre-applypatch", "pre-auto-gc", "pre-commit", "pre-merge-commit"),
    *("pre-push", "pre-rebase", "pre-receive", "prepare-commit-msg", "proc-receive"),
    *("push-to-checkout", "reference-transaction", "update"),
)

ATTRIBUTES = "*.py filter=evil diff=evil merge=evil ident\n*.proc filter=evilproc\n"


def trap(canaries: Path, name: str) -> str:
    """A shell command that leaves a canary."""
    return f"touch {canaries / name}; cat"


def arm(git_dir: Path, canaries: Path) -> None:
    """Set every trap git's configuration knows in a repository."""
    hooks = git_dir / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in HOOKS:
        (hooks / name).write_text(f"#!/bin/sh\ntouch {canaries / name}\n")
        (hooks / name).chmod(0o755)
    settings = {
        "core.fsmonitor": trap(canaries, "fsmonitor"),
        "core.hooksPath": str(hooks),
        "core.sshCommand": trap(canaries, "ssh"),
        "core.gitProxy": trap(canaries, "proxy"),
        "core.pager": trap(canaries, "pager"),
        "core.editor": trap(canaries, "editor"),
        "core.askPass": trap(canaries, "askpass"),
        "core.alternateRefsCommand": trap(canaries, "alternate-refs"),
        "uploadpack.packObjectsHook": trap(canaries, "pack-objects"),
        "credential.helper": f"!{trap(canaries, 'credential')}",
        "filter.evil.clean": trap(canaries, "clean"),
        "filter.evil.smudge": trap(canaries, "smudge"),
        "filter.evil.required": "true",
        "filter.evilproc.process": trap(canaries, "process"),
        "filter.lfs.process": trap(canaries, "lfs"),
        "diff.external": trap(canaries, "external-diff"),
        "diff.evil.command": trap(canaries, "diff-command"),
        "diff.evil.textconv": trap(canaries, "textconv"),
        "merge.evil.driver": trap(canaries, "merge-driver"),
        "merge.default": "evil",
        "gpg.program": trap(canaries, "gpg"),
        "gpg.ssh.program": trap(canaries, "ssh-sign"),
        "commit.gpgSign": "true",
        "log.showSignature": "true",
        "gc.auto": "1",
        "maintenance.auto": "true",
        "gc.recentObjectsHook": trap(canaries, "recent-objects"),
        "protocol.allow": "always",
        "protocol.ext.allow": "always",
        "url.ext::sh -c 'touch CANARY' .insteadOf": "/",
        "remote.origin.url": f"ext::sh -c {trap(canaries, 'remote')}",
        "remote.origin.uploadpack": trap(canaries, "uploadpack"),
        "submodule.recurse": "true",
        "alias.status": f"!{trap(canaries, 'alias-status')}",
        "alias.fetch": f"!{trap(canaries, 'alias-fetch')}",
        "pager.log": "true",
        "interactive.diffFilter": trap(canaries, "diff-filter"),
        "trace2.eventTarget": str(canaries / "trace2"),
        "core.worktree": "/",
    }
    for key, value in settings.items():
        own = key.replace("CANARY", str(canaries / "instead-of"))
        subprocess.run(["git", "config", "--file", str(git_dir / "config"), own, value], check=True)


@pytest.fixture
def canaries(tmp_path):
    folder = tmp_path / "canaries"
    folder.mkdir()
    return folder


@pytest.fixture
def hostile(user, canaries):
    """The user's repository with every trap armed and every file in need of a second look."""
    user.write(".gitattributes", ATTRIBUTES)
    user.write("data.proc", "1\n")
    user.write("long.py", "".join(f"line{n} = {n}\n" for n in range(50)))
    user.commit("attributes")
    alternate = user.path.parent / "alternate"
    user.git("clone", "--quiet", "--bare", str(user.path), str(alternate))
    (user.path / ".git/objects/info/alternates").write_text(f"{alternate}/objects\n")
    arm(user.path / ".git", canaries)
    for path in ("a.py", "long.py", "data.proc"):
        content = (user.path / path).read_bytes()
        (user.path / path).write_bytes(content)  # same size, another time: git must compare the content
        os.utime(user.path / path, (1, 1))
    return user


def sprung(canaries: Path) -> list[str]:
    return sorted(path.name for path in canaries.iterdir())


def test_the_traps_do_spring_for_an_ordinary_git(hostile, canaries):
    """Otherwise the tests below would prove nothing."""
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": "/nonexistent"}
    place = ["git", f"--git-dir={hostile.path}/.git", f"--work-tree={hostile.path}"]
    for args in (["status"], ["diff"], ["log", "-1", "-p"], ["commit", "-qm", "x", "--allow-empty"]):
        subprocess.run([*place, *args], env=env, cwd=hostile.path, capture_output=True, check=False)
    assert {"fsmonitor", "clean", "process", "textconv", "post-index-change"} <= set(sprung(canaries))


async def test_opening_mirroring_and_publishing_run_nothing(hostile, canaries, tmp_path):
    source = await open_source(str(hostile.path))
    assert source.path == hostile.path
    assert source.dirty == 0
    mirror = await fetch_mirror(source, tmp_path / "mirrors")
    worktree = await take_worktree(mirror.path, tmp_path / "trees", "one", mirror.base)
    (worktree.path / "a.py").write_text("x = 2\n")
    change = await commit_tree(mirror.path, await snapshot_tree(worktree), (mirror.base,), "x", BULLPEN, 0)
    await update_ref(mirror.path, "refs/heads/bullpen/work", change, None)
    published = await publish_branch(mirror.path, "bullpen/work", source)
    await remotes(hostile.path / ".git")
    assert published.in_users_repository
    assert sprung(canaries) == []


async def test_a_partial_clone_fetches_nothing(hostile, canaries, tmp_path):
    """The program of a promisor remote would be started for the first object that is missing."""
    config = hostile.path / ".git" / "config"
    hostile.git("config", "--file", str(config), "remote.origin.promisor", "true")
    hostile.git("config", "--file", str(config), "remote.origin.url", str(tmp_path / "alternate"))
    blob = hostile.git(
        "--no-optional-locks", "-c", "core.fsmonitor=false", "rev-parse", "HEAD:.gitattributes"
    )
    (hostile.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    (hostile.path / ".git/objects/info/alternates").unlink()
    with pytest.raises(UnusableRepository, match="is a partial clone"):
        await open_source(str(hostile.path))
    with pytest.raises(BullpenError):
        await git(hostile.path / ".git", "cat-file", "blob", blob)
    assert sprung(canaries) == []


async def test_cloning_runs_nothing(hostile, canaries, tmp_path):
    place = await clone(str(hostile.path), tmp_path / "copy")
    assert (tmp_path / "copy" / "data.proc").read_text() == "1\n"
    assert not any((place.path / "hooks").glob("*"))
    assert sprung(canaries) == []


async def test_working_in_the_mirror_runs_nothing(hostile, canaries, tmp_path):
    mirror = await fetch_mirror(await open_source(str(hostile.path)), tmp_path / "mirrors")
    worktree = await take_worktree(mirror.path, tmp_path / "trees", "one", mirror.base)
    (worktree.path / "long.py").write_text("".join(f"line{n} = {n + (n == 3)}\n" for n in range(50)))
    tree = await snapshot_tree(worktree)
    change = await commit_tree(mirror.path, tree, (mirror.base,), "change", BULLPEN, 0)
    (worktree.path / "long.py").write_text("".join(f"line{n} = {n + (n == 40)}\n" for n in range(50)))
    other = await commit_tree(mirror.path, await snapshot_tree(worktree), (mirror.base,), "other", BULLPEN, 0)
    assert (await diff_trees(mirror.path, mirror.base, change)).added == 1
    await cherry_pick_tree(mirror.path, change, other)
    await merge_commits(mirror.path, change, other)
    await rebase(mirror.path, [change], other)
    await log(mirror.path, change)
    await blame(mirror.path, change, "long.py")
    await read_history(mirror.path, change)
    await restore_tree(worktree, tree)
    await reset_worktree(worktree, mirror.base)
    assert sprung(canaries) == []


async def test_a_rewritten_git_file_is_not_believed(user, canaries, tmp_path, make_repository):
    """What a hostile test suite could do from inside the sandbox."""
    mirror = await fetch_mirror(await open_source(str(user.path)), tmp_path / "mirrors")
    worktree = await take_worktree(mirror.path, tmp_path / "trees", "one", mirror.base)
    lair = make_repository("lair")
    lair.commit("lair", x="1")
    arm(lair.path / ".git", canaries)
    dot_git = worktree.path / ".git"
    dot_git.write_text(f"gitdir: {lair.path}/.git\n")
    (worktree.path / ".gitattributes").write_text(ATTRIBUTES)
    (worktree.path / "a.py").write_text("x = 2\n")
    tree = await snapshot_tree(worktree)
    assert await read_file(mirror.path, tree, "a.py") == b"x = 2\n"
    await restore_tree(worktree, mirror.base)
    dot_git.unlink()
    shutil.copytree(lair.path / ".git", dot_git)
    assert await snapshot_tree(worktree) == (await read_tree_hash(mirror))
    await reset_worktree(worktree, mirror.base)
    assert dot_git.read_text() == f"gitdir: {worktree.git_dir}\n"
    assert sprung(canaries) == []


async def read_tree_hash(mirror) -> str:
    return (await log(mirror.path, mirror.base, most=1))[0].tree


async def test_a_repository_hidden_in_the_worktree_runs_nothing(user, canaries, tmp_path, make_repository):
    mirror = await fetch_mirror(await open_source(str(user.path)), tmp_path / "mirrors")
    worktree = await take_worktree(mirror.path, tmp_path / "trees", "one", mirror.base)
    clean = await snapshot_tree(worktree)
    for name, has_commit in (("empty", False), ("full", True), ("new\nline", True), ("glob*[", True)):
        repository = make_repository(f"{worktree.path.relative_to(tmp_path)}/{name}")
        nested = repository.path
        if has_commit:
            repository.commit("hidden")
        (nested / "file").write_text("hidden\n")
        arm(nested / ".git", canaries)
    assert await snapshot_tree(worktree) == clean
    await restore_tree(worktree, clean)
    assert sorted(path.name for path in worktree.path.iterdir()) == [".git", "README.md", "a.py"]
    assert sprung(canaries) == []


async def test_attributes_neither_change_nor_hide_content(user, tmp_path):
    user.write(
        ".gitattributes",
        "* text eol=crlf ident filter=evil diff=none working-tree-encoding=UTF-16\n*.py binary\n",
    )
    rules = user.git("hash-object", "-w", "--no-filters", ".gitattributes")
    user.git("update-index", "--add", "--cacheinfo", f"100644,{rules},.gitattributes")
    blob = user.git("hash-object", "-w", "--stdin", "--no-filters", stdin=b"$Id$\r\nmixed\n")
    user.git("update-index", "--add", "--cacheinfo", f"100644,{blob},odd.txt")
    user.git("update-index", "--add", "--cacheinfo", f"100644,{blob},odd.py")
    user.git("commit", "--quiet", "--message", "odd")
    mirror = await fetch_mirror(await open_source(str(user.path)), tmp_path / "mirrors")
    worktree = await take_worktree(mirror.path, tmp_path / "trees", "one", mirror.base)
    assert (worktree.path / "odd.txt").read_bytes() == b"$Id$\r\nmixed\n"
    os.utime(worktree.path / "odd.txt", (1, 1))
    assert await snapshot_tree(worktree) == await read_tree_hash(mirror)
    (worktree.path / "odd.py").write_bytes(b"$Id$\r\nevil\n")
    diff = await diff_trees(mirror.path, mirror.base, await snapshot_tree(worktree))
    assert [(file.path, file.binary, file.added) for file in diff.files] == [("odd.py", False, 1)]


def test_the_hardened_file_is_shipped_beside_the_code():
    assert HARDENED.is_file()
    assert "hooksPath = /dev/null" in HARDENED.read_text()
