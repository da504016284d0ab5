"""Repositories of Bullpen's own, beside mirrors: made, cloned, and linked to others."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.errors import Conflict, InvalidInput
from bullpen.vcs.git import GitDir, git
from bullpen.vcs.location import parse_location

CLONE_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Remote:
    """Another repository known by a name."""

    name: str
    url: str


async def init_repository(path: Path, *, branch: str = "main", bare: bool = False) -> GitDir:
    """An empty repository at ``path``, without hooks; its folder is made."""
    git_dir = path if bare else path / ".git"
    place = GitDir(git_dir, None if bare else path)
    kind = ("--bare",) if bare else ()
    args = ("init", "--quiet", "--template=", f"--initial-branch={branch}", *kind, "--", str(path))
    await git(GitDir(git_dir), *args)
    return place


async def clone(
    where: str,
    target: Path,
    *,
    depth: int | None = None,
    without_blobs: bool = False,
    branch: str = "",
    bare: bool = False,
) -> GitDir:
    """Clone a folder or URL to ``target``; submodules are left out.

    ``depth`` makes it shallow: so many commits of one branch. ``without_blobs`` makes it partial: contents are fetched
    when needed, if the server can do that. No hook or filter runs.

    Raises:
        UnusableRepository: there is nothing to clone at ``where``.
        Conflict: ``target`` exists and is not empty.
    """
    location = parse_location(where)
    if await asyncio.to_thread(_is_taken, target):
        raise Conflict(f"{target} is not empty.", remedy="Choose another folder.")
    address = location if isinstance(location, str) else location.absolute().as_uri()
    options = (
        *((f"--depth={depth}",) if depth else ()),
        *(("--filter=blob:none",) if without_blobs else ()),
        *((f"--branch={branch}",) if branch else ()),
        *(("--bare",) if bare else ()),
    )
    flags = ("--quiet", "--template=", "--no-recurse-submodules", "--upload-pack=git-upload-pack")
    await git(
        None, "clone", *flags, *options, "--", address, str(target), network=True, seconds=CLONE_SECONDS
    )
    return GitDir(target) if bare else GitDir(target / ".git", target)


async def remotes(repo: GitDir | Path) -> tuple[Remote, ...]:
    """The remotes of a repository, in the order of its configuration."""
    listed = await git(repo, "config", "-z", "--get-regexp", r"^remote\..*\.url$", accept=(0, 1))
    pairs = (pair.partition("\n") for pair in listed.fields())
    return tuple(Remote(key.removeprefix("remote.").removesuffix(".url"), url) for key, _, url in pairs)


async def add_remote(repo: GitDir | Path, name: str, url: str) -> None:
    """Remember another repository by a name.

    Raises:
        Conflict: the name is taken.
        UnusableRepository: the URL is not one we would fetch from.
    """
    _check_name(name)
    parse_location(url)
    if any(remote.name == name for remote in await remotes(repo)):
        raise Conflict(f"There is a remote called {name!r} already.")
    await git(repo, "remote", "add", "--", name, url)


async def remove_remote(repo: GitDir | Path, name: str) -> None:
    """Forget a remote and what was fetched from it."""
    _check_name(name)
    await git(repo, "remote", "remove", name)


def _is_taken(target: Path) -> bool:
    return target.is_dir() and any(target.iterdir())


def _check_name(name: str) -> None:
    if not name or name.startswith("-") or not name.replace("-", "").replace("_", "").isalnum():
        raise InvalidInput(f"{name!r} cannot name a remote.", remedy="Use letters, digits, - and _ only.")
