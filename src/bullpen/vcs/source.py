"""The repository a person points at: looked at, never touched."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bullpen.domain.errors import BullpenError, UnusableRepository
from bullpen.vcs.git import GitDir, distrust, git, redact
from bullpen.vcs.location import RepositoryFiles, find_repository, parse_location
from bullpen.vcs.trees import has_lfs_rules, list_tree


class SourceKind(StrEnum):
    """What was pointed at."""

    CHECKOUT = "checkout"
    BARE = "bare"
    URL = "url"


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of a repository before anything is copied.

    ``branch`` is empty on a detached HEAD. ``dirty`` counts files with uncommitted changes; they are left out of
    the work. ``submodules`` and ``nested`` are paths that belong to other repositories. For a URL only the name,
    the head and the branch are known.
    """

    kind: SourceKind
    location: str
    name: str
    head: str
    branch: str
    files: RepositoryFiles | None = None
    shallow: bool = False
    dirty: int = 0
    submodules: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    has_lfs: bool = False

    @property
    def detached(self) -> bool:
        """Whether HEAD is on no branch."""
        return not self.branch

    @property
    def path(self) -> Path | None:
        """The top folder of a local repository."""
        return (self.files.work_tree or self.files.git_dir) if self.files else None

    @property
    def shown(self) -> str:
        """The location as people may see it, without credentials."""
        return redact(self.location)


async def open_source(where: str) -> Source:
    """Look at the repository at ``where``: a folder in it, a bare one, a linked worktree, or a URL.

    Raises:
        UnusableRepository: it cannot be worked on, and why.
        Unavailable: the host of the URL cannot be reached.
        Missing: git is not installed.
    """
    location = parse_location(where)
    if isinstance(location, str):
        return await _open_url(location)
    return await _open_folder(await asyncio.to_thread(find_repository, location))


async def _open_folder(files: RepositoryFiles) -> Source:
    top = files.work_tree or files.git_dir
    try:
        return await _look_at(files, top)
    except BullpenError as error:
        if error.code != "git-failed":
            raise
        sentence = f"{top} cannot be read: {error.sentence}"
        raise UnusableRepository(sentence, remedy="Run git fsck in it.") from error


async def _look_at(files: RepositoryFiles, top: Path) -> Source:
    place = await distrust(GitDir(files.git_dir, files.work_tree))
    head = await _head_commit(place, top)
    branch = await git(place, "symbolic-ref", "--quiet", "--short", "HEAD", accept=(0, 1))
    shallow = await git(place, "rev-parse", "--is-shallow-repository")
    tree = await list_tree(place, head)
    changes = await _uncommitted(place)
    submodules = tuple(entry.path for entry in tree if entry.is_submodule)
    return Source(
        kind=SourceKind.CHECKOUT if files.work_tree else SourceKind.BARE,
        location=str(top),
        name=_name(str(top)),
        head=head,
        branch=branch.text,
        files=files,
        shallow=shallow.text == "true",
        dirty=len(changes),
        submodules=submodules,
        nested=tuple(path.rstrip("/") for path in changes if path.endswith("/")),
        has_lfs=await has_lfs_rules(place, tree),
    )


async def _head_commit(place: GitDir, top: Path) -> str:
    result = await git(place, "rev-parse", "--quiet", "--verify", "HEAD^{commit}", accept=(0, 1, 128))
    if result.status == 0:
        return result.text
    if b"not a git repository" in result.stderr:
        raise UnusableRepository(f"{top} is a damaged git repository.", remedy="Run git fsck in it.")
    any_commit = await git(place, "for-each-ref", "--count=1", "--format=%(refname)")
    if any_commit.stdout:
        raise UnusableRepository(
            f"HEAD of {top} names no commit.", remedy="Switch to a branch that has one: git switch BRANCH"
        )
    raise UnusableRepository(f"{top} has no commits yet.", remedy="Make one: git add -A && git commit")


async def _uncommitted(place: GitDir) -> tuple[str, ...]:
    """Paths with changes that are in no commit; those of nested repositories end with a slash."""
    if place.work_tree is None:
        return ()
    shown = await git(
        place,
        *(
            "status",
            "--porcelain=v1",
            "-z",
            "--untracked-files=all",
            "--ignore-submodules=all",
            "--no-renames",
        ),
    )
    return tuple(line[3:] for line in shown.fields())


async def _open_url(url: str) -> Source:
    listed = await git(None, "ls-remote", "--symref", "--", url, "HEAD", network=True)
    head, branch = "", ""
    for line in listed.text.splitlines():
        what, _, name = line.partition("\t")
        if name == "HEAD" and what.startswith("ref: "):
            branch = what.removeprefix("ref: ").removeprefix("refs/heads/")
        elif name == "HEAD":
            head = what
    if not head:
        raise UnusableRepository(f"{redact(url)} has no commits yet.", remedy="Push one first.")
    return Source(SourceKind.URL, url, _name(url), head, branch)


def _name(location: str) -> str:
    """The last part of a path or URL, as people would call the repository."""
    last = location.rstrip("/").replace(":", "/").rsplit("/", 1)[-1]
    return last.removesuffix(".git") or "repository"
