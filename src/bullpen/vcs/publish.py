"""Handing the result over: one branch appears in the user's repository, and nothing else of it changes."""

import os
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from bullpen.domain.errors import BullpenError, Conflict, PermissionRefused
from bullpen.vcs.commits import BULLPEN, check_ref_name, resolve_commit
from bullpen.vcs.git import GitDir, git
from bullpen.vcs.location import RepositoryFiles
from bullpen.vcs.source import Source


@dataclass(frozen=True, slots=True)
class Published:
    """Where the branch is now. ``repository`` is the user's own, or the mirror if they gave a URL.

    ``next_step`` is a shell command a person can copy.
    """

    branch: str
    commit: str
    repository: Path
    in_users_repository: bool
    next_step: str


async def publish_branch(mirror: Path, branch: str, source: Source) -> Published:
    """Bring ``branch`` of the mirror into the user's repository as a ref only.

    Index, work tree, HEAD, configuration and reflog of HEAD stay as they are, byte for byte. For a URL the branch
    stays in the mirror. Publishing a branch again after it grew moves it forward.

    Raises:
        Conflict: the branch is checked out there, or has another history there.
        PermissionRefused: the repository may not be written.
    """
    ref = f"refs/heads/{branch}"
    await check_ref_name(mirror, ref)
    commit = await resolve_commit(mirror, ref)
    if source.files is None:
        step = f"git -C {quote(str(mirror))} push {quote(source.shown)} {quote(branch)}"
        return Published(branch, commit, mirror, in_users_repository=False, next_step=step)
    top = source.files.work_tree or source.files.git_dir
    await _fetch_into(source.files, mirror, branch, top)
    step = f"git -C {quote(str(top))} switch {quote(branch)}"
    return Published(branch, commit, top, in_users_repository=True, next_step=step)


async def push_branch(mirror: Path, branch: str, url: str) -> None:
    """Push ``branch`` of the mirror to a remote by its URL; never by force.

    Raises:
        Conflict: the remote has another history.
    """
    ref = f"refs/heads/{branch}"
    await check_ref_name(mirror, ref)
    try:
        await git(
            mirror, "push", "--quiet", "--no-verify", "--", url, f"{ref}:{ref}", network=True, seconds=600.0
        )
    except BullpenError as error:
        if "push some refs" in error.sentence:
            raise Conflict(f"{branch} has another history at the remote.", remedy=_ANOTHER_NAME) from error
        raise


_ANOTHER_NAME = "Choose another branch name, or delete the branch there first."


async def _fetch_into(files: RepositoryFiles, mirror: Path, branch: str, top: Path) -> None:
    # The longest match wins, so no rule of the user's configuration sends git elsewhere.
    place = GitDir(files.common_dir, overrides=((f"url.{mirror}.insteadOf", str(mirror)),))
    if not os.access(files.common_dir, os.W_OK):
        raise PermissionRefused(f"{top} may not be written.", remedy="Check its owner and how it is mounted.")
    ref = f"refs/heads/{branch}"
    if ref in await _checked_out(place):
        raise Conflict(f"{branch} is checked out in {top}.", remedy="Switch to another branch there first.")
    try:
        await git(
            place,
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"),
            *("--no-recurse-submodules", "--upload-pack=git-upload-pack", "--", str(mirror), f"{ref}:{ref}"),
            env={"GIT_COMMITTER_NAME": BULLPEN.name, "GIT_COMMITTER_EMAIL": BULLPEN.email},
            seconds=600.0,
        )
    except PermissionRefused:
        raise
    except BullpenError as error:
        if await _is_in_the_way(place, branch):
            raise Conflict(
                f"{top} already has a branch in the way of {branch}.", remedy=_ANOTHER_NAME
            ) from error
        raise


async def _checked_out(place: GitDir) -> frozenset[str]:
    """Refs that are HEAD of the repository or of one of its worktrees."""
    head = await git(place, "symbolic-ref", "--quiet", "HEAD", accept=(0, 1))
    listed = await git(place, "worktree", "list", "--porcelain", "-z")
    linked = (line.removeprefix("branch ") for line in listed.fields() if line.startswith("branch "))
    return frozenset((head.text, *linked))


async def _is_in_the_way(place: GitDir, branch: str) -> bool:
    """Whether the branch exists, or one that is a folder of it, or it is a folder of another."""
    listed = await git(place, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/")
    others = listed.text.splitlines()
    return any(
        other == branch or other.startswith(f"{branch}/") or branch.startswith(f"{other}/")
        for other in others
    )
