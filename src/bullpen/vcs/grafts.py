"""Trees made of the files of two others."""

from collections.abc import Sequence
from pathlib import Path

from bullpen.vcs.diffs import apply_patch
from bullpen.vcs.git import git
from bullpen.vcs.trees import checked, inner_path


async def graft_files(repo: Path, base: str, other: str, paths: Sequence[str]) -> str:
    """The tree ``base`` with ``paths`` as they are in ``other`` (a file that is missing there is removed)."""
    patch = await git(
        repo,
        *(
            "diff-tree",
            "--binary",
            "--full-index",
            "--no-renames",
            "-r",
            "-p",
            checked(base),
            checked(other),
            "--",
        ),
        *(inner_path(path) for path in paths),
    )
    return await apply_patch(repo, base, patch.stdout)
