"""The refs of a repository, as they are now, and what changed between two commits."""

from collections.abc import Mapping
from pathlib import Path

from bullpen.domain.errors import LimitExceeded
from bullpen.vcs.git import GitDir, git, redact
from bullpen.vcs.location import find_repository, parse_location
from bullpen.vcs.trees import checked

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git's own; every repository has it
_HEADS = "refs/heads/"


async def list_branches(where: str, *, most: int) -> Mapping[str, str]:
    """The commit of each branch of the repository at a folder or a URL; nothing is fetched.

    Raises:
        UnusableRepository: there is none.
        Unavailable: its host cannot be reached.
        LimitExceeded: it has more branches than ``most``.
    """
    location = parse_location(where)
    if isinstance(location, str):
        listed = await git(None, "ls-remote", "--heads", "--", location, network=True)
    else:
        place = GitDir(find_repository(location).common_dir)
        listed = await git(place, "for-each-ref", "--format=%(objectname)%09%(refname)", _HEADS)
    pairs = [line.split("\t", 1) for line in listed.text.split("\n")]
    found = {pair[1].removeprefix(_HEADS): pair[0] for pair in pairs if len(pair) == 2}
    if len(found) > most:
        raise LimitExceeded(f"{redact(where)} has {len(found):,} branches; {most:,} is the most.")
    return found


async def changed_paths(repo: GitDir | Path, before: str, after: str) -> tuple[str, ...]:
    """Paths that differ between two commits or trees, in git's order.

    Raises:
        BullpenError: one of them is not there.
    """
    names = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", checked(before), checked(after))
    return tuple((await git(repo, *names)).fields())
