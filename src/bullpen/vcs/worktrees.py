"""Worktrees of a mirror, and their content as git trees.

Sandboxed processes write in a worktree, so nothing in it is believed: its ``.git`` file is rewritten and never read,
and its git directory, with a private index that makes snapshots cheap, lies in the mirror. A worktree has one owner
(a task, say) from ``take_worktree`` to ``release_worktree``; released ones are cleaned and lent again.
"""

import asyncio
import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.errors import BullpenError, InvalidInput
from bullpen.vcs.git import GitDir, git
from bullpen.vcs.locks import file_lock
from bullpen.vcs.trees import checked

CHECKOUT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Worktree:
    """A folder with one commit's files. ``git_dir`` is its private part of the mirror."""

    path: Path
    mirror: Path
    git_dir: Path
    owner: str

    @property
    def place(self) -> GitDir:
        """For commands on its own index, which stays at the commit it was taken at."""
        return GitDir(self.git_dir, self.path)

    @property
    def snapshots(self) -> GitDir:
        """For commands on the index that follows its content."""
        return GitDir(self.git_dir, self.path, self.git_dir / "snapshot-index")


async def take_worktree(mirror: Path, folder: Path, owner: str, commit: str) -> Worktree:
    """A worktree of ``commit`` in ``folder`` for ``owner``.

    An owner that already has one gets it back as it stands, so a task that starts again finds its work. Otherwise a
    released worktree is reset, or a new one made. Safe for many processes at once.
    """
    name = _owner_name(owner)
    checked(commit)
    folder.mkdir(parents=True, exist_ok=True)
    async with file_lock(folder / "worktrees.lock"):
        slot, is_theirs = await asyncio.to_thread(_choose_slot, folder, name)
        worktree = Worktree(slot, mirror, mirror / "worktrees" / slot.name, owner)
        if is_theirs and await _is_whole(worktree):
            return worktree
        _mark(slot).write_text(name)
        if not worktree.git_dir.is_dir():
            await _create(worktree, commit)
            return worktree
    await reset_worktree(worktree, commit)
    return worktree


async def release_worktree(worktree: Worktree) -> None:
    """Give it back: the next owner finds it clean. Its content is lost unless it was committed."""
    _mark(worktree.path).unlink(missing_ok=True)


async def remove_worktree(worktree: Worktree) -> None:
    """Delete the folder and the mirror's part of it."""
    await asyncio.to_thread(shutil.rmtree, worktree.path, ignore_errors=True)
    await asyncio.to_thread(shutil.rmtree, worktree.git_dir, ignore_errors=True)
    _mark(worktree.path).unlink(missing_ok=True)


async def prune_worktrees(mirror: Path, folder: Path, owners: Collection[str]) -> int:
    """Remove every worktree in ``folder`` whose owner is not among ``owners``; how many went."""
    kept = {_owner_name(owner) for owner in owners}
    removed = 0
    async with file_lock(folder / "worktrees.lock"):
        for slot in _slots(folder):
            if _owner_of(slot) not in kept:
                await remove_worktree(Worktree(slot, mirror, mirror / "worktrees" / slot.name, ""))
                removed += 1
    return removed


async def reset_worktree(worktree: Worktree, commit: str) -> None:
    """Make it hold exactly the files of ``commit``: every change and every other file goes, ignored ones too."""
    await asyncio.to_thread(_mend, worktree)
    await git(worktree.place, "update-ref", "--no-deref", "HEAD", f"{checked(commit)}")
    await git(worktree.place, "reset", "--hard", "--quiet", seconds=CHECKOUT_SECONDS)
    await git(worktree.place, "clean", "-ffdxq", seconds=CHECKOUT_SECONDS)
    await asyncio.to_thread(_renew_snapshot_index, worktree)


async def snapshot_tree(worktree: Worktree) -> str:
    """Git's hash of the worktree's content now, new files included, ignored ones not. The objects are stored.

    Only files whose times or sizes changed since the last snapshot are read again.
    """
    await git(worktree.snapshots, "add", "--all", "--", ".", seconds=CHECKOUT_SECONDS)
    return (await git(worktree.snapshots, "write-tree")).text


async def restore_tree(worktree: Worktree, tree: str) -> None:
    """Make the worktree hold ``tree``. Files that are ignored stay; all others that are not in it go."""
    await asyncio.to_thread(_unlock, worktree.git_dir)
    await git(worktree.snapshots, "read-tree", "--reset", "-u", checked(tree), seconds=CHECKOUT_SECONDS)
    await git(worktree.snapshots, "checkout-index", "--all", "--force", "--quiet", seconds=CHECKOUT_SECONDS)
    await git(worktree.snapshots, "clean", "-ffdq", seconds=CHECKOUT_SECONDS)


async def _create(worktree: Worktree, commit: str) -> None:
    await asyncio.to_thread(shutil.rmtree, worktree.path, ignore_errors=True)
    try:
        await git(
            worktree.mirror,
            *("worktree", "add", "--quiet", "--force", "--detach", "--", str(worktree.path), commit),
            seconds=CHECKOUT_SECONDS,
        )
    except BullpenError:
        await remove_worktree(worktree)
        raise
    await asyncio.to_thread(_renew_snapshot_index, worktree)


async def _is_whole(worktree: Worktree) -> bool:
    """Whether it was made to the end; a crash may have left half of one."""
    return (
        worktree.path.is_dir() and worktree.snapshots.index is not None and worktree.snapshots.index.is_file()
    )


def _choose_slot(folder: Path, name: str) -> tuple[Path, bool]:
    """The owner's own slot, else a free one, else the name of a new one."""
    slots = _slots(folder)
    for slot in slots:
        if _owner_of(slot) == name:
            return slot, True
    for slot in slots:
        if not _owner_of(slot):
            return slot, False
    return folder.absolute() / f"wt-{secrets.token_hex(5)}", False


def _slots(folder: Path) -> list[Path]:
    return sorted(path for path in folder.absolute().glob("wt-*") if path.is_dir() and not path.is_symlink())


def _mark(slot: Path) -> Path:
    return slot.with_name(f"{slot.name}.owner")


def _owner_of(slot: Path) -> str:
    try:
        return _mark(slot).read_text()
    except FileNotFoundError:
        return ""


def _owner_name(owner: str) -> str:
    if not owner or not re.fullmatch(r"[\w.:/@+-]+", owner):
        raise InvalidInput(f"{owner!r} cannot own a worktree: give it a name.")
    return owner


def _mend(worktree: Worktree) -> None:
    """Undo what a sandboxed process may have done to the link, and what a killed git may have left."""
    _unlock(worktree.git_dir)
    worktree.path.mkdir(exist_ok=True)
    dot_git = worktree.path / ".git"
    if dot_git.is_dir() and not dot_git.is_symlink():
        shutil.rmtree(dot_git)
    else:
        dot_git.unlink(missing_ok=True)
    descriptor = os.open(dot_git, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(b"gitdir: " + os.fsencode(worktree.git_dir) + b"\n")


def _unlock(git_dir: Path) -> None:
    """Its one owner is here, so a lock that is there belongs to nobody."""
    for name in ("index.lock", "snapshot-index.lock", "HEAD.lock"):
        (git_dir / name).unlink(missing_ok=True)


def _renew_snapshot_index(worktree: Worktree) -> None:
    draft = worktree.git_dir / f"snapshot-index.{secrets.token_hex(4)}"
    with contextlib.suppress(FileNotFoundError):  # a commit without files has no index
        shutil.copyfile(worktree.git_dir / "index", draft)
        draft.replace(worktree.git_dir / "snapshot-index")
