"""What the git layer costs on a repository: one call, mirrors, worktrees, snapshots, merges.

Usage: python bench/git_calls.py REPOSITORY
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bullpen.vcs.commits import BULLPEN, cherry_pick_tree, commit_tree, tree_of
from bullpen.vcs.diffs import diff_trees
from bullpen.vcs.git import git
from bullpen.vcs.history import read_history
from bullpen.vcs.mirror import fetch_mirror
from bullpen.vcs.source import open_source
from bullpen.vcs.trees import list_tree
from bullpen.vcs.worktrees import release_worktree, snapshot_tree, take_worktree


async def measure(name: str, action: Callable[[], Awaitable[object]], rounds: int) -> None:
    """Print the median of ``rounds`` runs in milliseconds."""
    times: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        await action()
        times.append((time.perf_counter() - start) * 1000)
    print(f"{name:<44} {statistics.median(times):10.1f} ms   ({rounds} rounds)")


async def main(where: str, folder: Path) -> None:
    """Measure everything on the repository at ``where``; files are written under ``folder`` only."""
    source = await open_source(where)
    mirrors, trees = folder / "mirrors", folder / "trees"
    start = time.perf_counter()
    mirror = await fetch_mirror(source, mirrors)
    print(f"{'first mirror':<44} {(time.perf_counter() - start) * 1000:10.1f} ms")
    files = await list_tree(mirror.path, mirror.base)
    print(f"{'files':<44} {len(files):10}")

    async def bare_process() -> None:
        await asyncio.to_thread(subprocess.run, ["git", "--version"], stdout=subprocess.DEVNULL, check=True)

    async def lend_again() -> None:
        await release_worktree(await take_worktree(mirror.path, trees, "again", mirror.base))

    numbers = iter(range(1000))

    async def lend_new() -> None:
        await take_worktree(mirror.path, trees, f"new-{next(numbers)}", mirror.base)

    await measure("a git process and nothing else (the limit)", bare_process, 30)
    await measure(
        "git(): one hardened call", lambda: git(mirror.path, "rev-parse", "HEAD", accept=(0, 128)), 30
    )
    await measure("open_source", lambda: open_source(where), 5)
    await measure("fetch_mirror, nothing new", lambda: fetch_mirror(source, mirrors), 5)
    await measure("list_tree", lambda: list_tree(mirror.path, mirror.base), 5)
    await measure("read_history", lambda: read_history(mirror.path, mirror.base), 3)
    await measure("take_worktree, new", lend_new, 3)
    await lend_again()
    await measure("take_worktree, lent again", lend_again, 5)
    worktree = await take_worktree(mirror.path, trees, "again", mirror.base)
    await measure("snapshot_tree, nothing changed", lambda: snapshot_tree(worktree), 5)
    (worktree.path / "bullpen-new-file").write_text("x\n")
    tree = await snapshot_tree(worktree)
    change = await commit_tree(mirror.path, tree, (mirror.base,), "change", BULLPEN, 0)
    other = await commit_tree(
        mirror.path, await tree_of(mirror.path, mirror.base), (mirror.base,), "other", BULLPEN, 1
    )
    await measure("diff_trees, one file", lambda: diff_trees(mirror.path, mirror.base, tree), 5)
    await measure("cherry_pick_tree", lambda: cherry_pick_tree(mirror.path, change, other), 5)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bullpen-bench-") as scratch:
        asyncio.run(main(sys.argv[1], Path(scratch)))
