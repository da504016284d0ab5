"""Worktrees of a mirror, and their content as git trees.

Sandboxed processes write in a worktree, so nothing in it is believed: its ``.git`` file is rewritten and never read,
and its git directory, with a private index that makes snapshots cheap, lies in the mirror. A worktree has one owner
(a task, say) from ``take_worktree`` to ``release_worktree``; released ones are cleaned and lent again.
"""

import asyncio
import logging
import os
import re
import secrets
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.errors import BullpenError, InvalidInput, UnusableRepository
from bullpen.vcs.folders import delete_folder, discard_folder, file_lock
from bullpen.vcs.git import GitDir, git
from bullpen.vcs.trees import checked

CHECKOUT_SECONDS = 600.0
_LOG = logging.getLogger(__name__)


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
    """A worktree of ``commit`` under ``folder`` for ``owner``.

    An owner that already has one gets it back as it stands, so a task that starts again finds its work. Otherwise a
    released worktree is reset, or a new one made. Safe for many processes at once.
    """
    checked(commit)
    home = _home(mirror, folder)
    async with file_lock(home / "worktrees.lock"):
        slot = await asyncio.to_thread(_claim_slot, home, _owner_name(owner))
    worktree = Worktree(slot, mirror, mirror / "worktrees" / slot.name, owner)
    async with file_lock(slot.with_name(f"{slot.name}.lock")):
        if not _is_ready(worktree):
            await _prepare(worktree, commit)
            _write_mark(slot, f"{owner}\nready\n")
    return worktree


async def release_worktree(worktree: Worktree) -> None:
    """Give it back: the next owner finds it clean. Its content is lost unless it was committed."""
    _mark(worktree.path).unlink(missing_ok=True)


async def prune_worktrees(mirror: Path, folder: Path, owners: Collection[str]) -> int:
    """Remove every worktree of the mirror whose owner is not among ``owners``; how many went.

    They are gone from their places when this returns; deleting many files may take longer and goes on by itself.
    """
    home = _home(mirror, folder)
    async with file_lock(home / "worktrees.lock"):
        gone = [slot for slot in _slots(home) if _owner_of(slot) not in owners]
        await asyncio.to_thread(_move_away, home, mirror, gone)
    for trash in sorted(home.glob("trash-*")):
        await discard_folder(trash)
    return len(gone)


async def reset_worktree(worktree: Worktree, commit: str) -> None:
    """Make it hold exactly the files of ``commit``: every change and every other file goes, ignored ones too."""
    await _mend(worktree)
    await git(worktree.place, "reset", "--hard", "--quiet", checked(commit), seconds=CHECKOUT_SECONDS)
    await git(worktree.place, "clean", "-ffdxq", seconds=CHECKOUT_SECONDS)
    await asyncio.to_thread(_renew_snapshot_index, worktree)


async def snapshot_tree(worktree: Worktree) -> str:
    """Git's hash of the worktree's content now, new files included, ignored ones not. The objects are stored.

    Only files whose times or sizes changed since the last snapshot are read again. Repositories made inside the
    worktree are left out: a tree cannot hold their files.

    Raises:
        UnusableRepository: a tracked file was replaced by something a tree cannot hold, such as a pipe.
    """
    await asyncio.to_thread(_unlock, worktree.git_dir)
    foreign = (f":(exclude,literal){path}" for path in await _nested_repositories(worktree))
    specs = "\0".join((":/", *foreign))
    try:
        await git(
            worktree.snapshots,
            *("add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul"),
            stdin=os.fsencode(specs),
            env={"GIT_LITERAL_PATHSPECS": "0"},
            seconds=CHECKOUT_SECONDS,
        )
    except BullpenError as error:
        raise UnusableRepository(
            f"The worktree cannot be recorded: {error.sentence}",
            remedy="Remove what is not a file or a folder.",
        ) from error
    return (await git(worktree.snapshots, "write-tree")).text


async def restore_tree(worktree: Worktree, tree: str) -> None:
    """Make the worktree hold ``tree``. Files that are ignored stay; all others that are not in it go."""
    await _mend(worktree)
    await git(worktree.snapshots, "read-tree", "--reset", "-u", checked(tree), seconds=CHECKOUT_SECONDS)
    await git(worktree.snapshots, "clean", "-ffdq", seconds=CHECKOUT_SECONDS)


async def _nested_repositories(worktree: Worktree) -> list[str]:
    untracked = await git(worktree.snapshots, "ls-files", "--others", "--exclude-standard", "-z")
    return [path.rstrip("/") for path in untracked.fields() if path.endswith("/")]


async def _prepare(worktree: Worktree, commit: str) -> None:
    """Reset it; if it is new, or was left in a state git cannot mend, make it anew."""
    if worktree.path.is_dir() and (worktree.git_dir / "index").is_file():
        try:
            await reset_worktree(worktree, commit)
        except BullpenError as error:
            _LOG.warning("%s could not be reset and is made anew: %s", worktree.path.name, error)
        else:
            return
    await delete_folder(worktree.path)
    await delete_folder(worktree.git_dir)
    add = ("worktree", "add", "--quiet", "--detach", "--", str(worktree.path), commit)
    await git(worktree.mirror, *add, seconds=CHECKOUT_SECONDS)
    await asyncio.to_thread(_renew_snapshot_index, worktree)


def _home(mirror: Path, folder: Path) -> Path:
    """Where the worktrees of one mirror are."""
    return folder.absolute() / mirror.stem


def _claim_slot(home: Path, owner: str) -> Path:
    """The owner's own slot, else a free one, else the name of a new one; it is marked as theirs."""
    owners = {slot: _owner_of(slot) for slot in _slots(home)}
    for slot, name in owners.items():
        if name == owner:
            return slot
    free = (slot for slot, name in owners.items() if not name)
    slot = next(free, home / f"wt-{secrets.token_hex(5)}")
    _write_mark(slot, f"{owner}\n")
    return slot


def _slots(home: Path) -> list[Path]:
    """Every worktree that is there, is being made, or was."""
    folders = (path for path in home.glob("wt-*") if path.is_dir() and not path.is_symlink())
    marks = (path.with_suffix("") for path in home.glob("wt-*.owner"))
    return sorted({*folders, *marks})


def _move_away(home: Path, mirror: Path, slots: Sequence[Path]) -> None:
    """Out of sight at once; a mark goes last, so that what was interrupted is found again."""
    trash = home / f"trash-{secrets.token_hex(5)}"
    for slot in slots:
        for number, part in enumerate((slot, mirror / "worktrees" / slot.name)):
            if part.is_dir() and not part.is_symlink():
                trash.mkdir(exist_ok=True)
                part.rename(trash / f"{slot.name}-{number}")
        _mark(slot).unlink(missing_ok=True)
        slot.with_name(f"{slot.name}.lock").unlink(missing_ok=True)


def _write_mark(slot: Path, text: str) -> None:
    """Whole or not at all: who reads an owner that is half written would lend the slot a second time."""
    draft = slot.with_name(f"{slot.name}.{secrets.token_hex(4)}")
    draft.write_text(text)
    draft.replace(_mark(slot))


def _mark(slot: Path) -> Path:
    return slot.with_name(f"{slot.name}.owner")


def _owner_of(slot: Path) -> str:
    try:
        return _mark(slot).read_text().partition("\n")[0]
    except FileNotFoundError:
        return ""


def _is_ready(worktree: Worktree) -> bool:
    """Whether its owner was given it before, and it is still there."""
    is_there = worktree.path.is_dir() and (worktree.git_dir / "snapshot-index").is_file()
    return is_there and _mark(worktree.path).read_text().endswith("\nready\n")


def _owner_name(owner: str) -> str:
    if not re.fullmatch(r"[\w.:/@+-]+", owner):
        raise InvalidInput(f"{owner!r} cannot own a worktree.", remedy="Use letters, digits and .:/@+- only.")
    return owner


async def _mend(worktree: Worktree) -> None:
    """Undo what a sandboxed process may have done to the link, and what a killed git may have left."""
    dot_git = worktree.path / ".git"
    if dot_git.is_dir() and not dot_git.is_symlink():
        await delete_folder(dot_git)
    await asyncio.to_thread(_relink, worktree, dot_git)


def _relink(worktree: Worktree, dot_git: Path) -> None:
    _unlock(worktree.git_dir)
    dot_git.unlink(missing_ok=True)
    descriptor = os.open(dot_git, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(b"gitdir: " + os.fsencode(worktree.git_dir) + b"\n")


def _unlock(git_dir: Path) -> None:
    """Its one owner is here, so a lock that is there was left by a git that was killed."""
    for name in ("index.lock", "snapshot-index.lock", "HEAD.lock"):
        (git_dir / name).unlink(missing_ok=True)


def _renew_snapshot_index(worktree: Worktree) -> None:
    """Times are kept: git distrusts entries as young as their index."""
    draft = worktree.git_dir / f"snapshot-index.{secrets.token_hex(4)}"
    shutil.copy2(worktree.git_dir / "index", draft)
    draft.replace(worktree.git_dir / "snapshot-index")
