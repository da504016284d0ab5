"""Git as an agent sees it while it works on an item: it may look; what lands is the merge queue's business."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from bullpen.domain.errors import PermissionRefused
from bullpen.flow.improve.bench import ItemWorktree
from bullpen.tools.base import BlamedLine, Commit
from bullpen.vcs.commits import blame, log
from bullpen.vcs.diffs import diff_trees


@dataclass(frozen=True, slots=True)
class ItemGit:
    """See ``tools.base.Git``: the worktree of one item, read only."""

    worktree: ItemWorktree

    async def branch(self) -> str:
        """See ``Git.branch``: an item's worktree is on none."""
        return ""

    async def status(self) -> Sequence[tuple[str, str]]:
        """See ``Git.status``."""
        diff = await diff_trees(self._mirror, self.worktree.tip, await self.worktree.snapshot())
        return [(f"{file.status:<2}", file.path) for file in diff.files]

    async def diff(self, base: str = "", paths: Sequence[str] = ()) -> str:
        """See ``Git.diff``."""
        diff = await diff_trees(
            self._mirror, base or self.worktree.tip, await self.worktree.snapshot(), renames=False
        )
        text = diff.patch.decode("utf-8", "surrogateescape")
        if not paths:
            return text
        parts = text.split("\ndiff --git ")
        whole = [parts[0], *(f"diff --git {part}" for part in parts[1:])]
        return "\n".join(
            part for part in whole if any(f"b/{path}\n" in part or f"a/{path} " in part for path in paths)
        )

    async def log(self, limit: int, path: str = "") -> Sequence[Commit]:
        """See ``Git.log``."""
        commits = await log(self._mirror, self.worktree.tip, path=path, most=limit)
        return [
            Commit(one.id, one.author.name, _day(one.at), one.message.split("\n", 1)[0]) for one in commits
        ]

    async def blame(self, path: str, first: int, last: int) -> Sequence[BlamedLine]:
        """See ``Git.blame``: of the file as it was when the task began."""
        lines = await blame(self._mirror, self.worktree.tip, path)
        content = await self.worktree.original(path) or b""
        texts = content.decode("utf-8", "surrogateescape").split("\n")
        return [
            BlamedLine(one.line, one.commit, one.author.name, texts[one.line - 1])
            for one in lines
            if first <= one.line <= last
        ]

    async def create_branch(self, name: str) -> None:
        """See ``Git.create_branch``."""
        _refuse()

    async def commit(self, message: str, paths: Sequence[str] = ()) -> str:
        """See ``Git.commit``."""
        _refuse()

    async def merge(self, branch: str) -> str:
        """See ``Git.merge``."""
        _refuse()

    async def rebase(self, onto: str) -> str:
        """See ``Git.rebase``."""
        _refuse()

    async def tag(self, name: str, message: str) -> None:
        """See ``Git.tag``."""
        _refuse()

    async def push(self, branch: str) -> None:
        """See ``Git.push``."""
        _refuse()

    @property
    def _mirror(self) -> Path:
        return self.worktree.worktree.mirror


def _refuse() -> NoReturn:
    raise PermissionRefused(
        "Changes are landed by the merge queue.", remedy="Leave them in the worktree and finish."
    )


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
