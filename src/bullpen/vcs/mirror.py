"""Bullpen's own bare copy of a repository: all work happens here, never in the user's folder.

Objects are copied, not shared, so nothing here breaks when the user's repository is repacked or deleted. The source's
branches are kept under ``refs/remotes/source/``, its tags under ``refs/tags/``; ``refs/heads/`` is Bullpen's own.
"""

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from bullpen.domain.errors import BullpenError, UnusableRepository
from bullpen.vcs.folders import delete_folder, file_lock
from bullpen.vcs.git import git, git_version
from bullpen.vcs.source import Source

SOURCE_HEAD = "refs/bullpen/source-head"
FETCH_SECONDS = 1800.0
DRAFT_SECONDS = 86_400.0  # a mirror is made in far less
_FETCH = (
    *("fetch", "--quiet", "--force", "--prune", "--tags", "--no-write-fetch-head", "--update-shallow"),
    "--upload-pack=git-upload-pack",
)

_CONFIG = """\
[core]
	repositoryFormatVersion = {version}
	bare = true
	fileMode = true
	symlinks = true
	autocrlf = false
	safecrlf = false
	logAllRefUpdates = false
	protectHFS = true
	protectNTFS = true
[extensions]
	objectFormat = {object_format}
"""

# Files are written and read byte for byte, and no attribute of the repository can hide a change from a diff.
_ATTRIBUTES = "* -text -eol -filter -ident !working-tree-encoding !diff\n"

# What tools leave behind when tests run; tracked files of these names are still seen.
_EXCLUDED = """\
__pycache__/
*.py[co]
.pytest_cache/
.ruff_cache/
.mypy_cache/
.hypothesis/
.coverage
.coverage.*
node_modules/
"""


@dataclass(frozen=True, slots=True)
class Mirror:
    """A bare repository of Bullpen's. ``base`` is the commit the work starts from, ``branch`` its name if it had one."""

    path: Path
    base: str
    branch: str = ""


def mirror_path(source: Source, mirrors: Path) -> Path:
    """Where the mirror of ``source`` lives: one per repository, whichever folder or worktree of it was named."""
    place = str(source.files.common_dir) if source.files else source.location
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()
    return mirrors / f"{digest[:32]}.git"


async def fetch_mirror(source: Source, mirrors: Path, *, depth: int | None = None) -> Mirror:
    """Bring the mirror of ``source`` up to date, making it first if need be. Safe for many processes at once.

    ``depth`` limits the history taken from a URL. The user's repository is only read.

    Raises:
        UnusableRepository: the commits cannot be copied, for instance from a partial clone.
        Unavailable: the host cannot be reached.
    """
    await git_version()
    path = mirror_path(source, mirrors).absolute()
    async with file_lock(path.with_suffix(".lock")):
        await _sweep(path)
        if not path.exists():
            await _create(path, await _object_format(source))
        await _fetch(path, source, depth)
    return Mirror(path, await _base(path, source), source.branch)


async def make_mirror(path: Path, object_format: str) -> None:
    """An empty mirror at ``path``, if there is none yet. Safe for many processes at once."""
    await git_version()
    async with file_lock(path.with_suffix(".lock")):
        if not await asyncio.to_thread(path.exists):
            await _create(path, object_format)


async def tidy_mirror(path: Path) -> None:
    """Pack the loose objects of many small commits. Nothing is thrown away, so others may work meanwhile."""
    async with file_lock(path.with_suffix(".lock")):
        await git(path, "repack", "-d", "-l", "--quiet", seconds=FETCH_SECONDS)


async def _object_format(source: Source) -> str:
    if source.files is None:
        return "sha256" if len(source.head) == 64 else "sha1"
    return (await git(source.files.git_dir, "rev-parse", "--show-object-format")).text


async def _sweep(path: Path) -> None:
    """Delete what making a mirror left where it was killed.

    Drafts of this mirror are nobody's, for they are made under its lock, which is held here. Those of others are left
    until no creation can still be at work.
    """
    for draft in await asyncio.to_thread(_left_drafts, path, time.time() - DRAFT_SECONDS):
        await delete_folder(draft)


def _left_drafts(path: Path, before: float) -> list[Path]:
    drafts = [one for one in path.parent.glob("*.git.new-*") if one.is_dir() and not one.is_symlink()]
    mine = f"{path.name}.new-"
    return [one for one in drafts if one.name.startswith(mine) or one.stat().st_mtime < before]


async def _create(path: Path, object_format: str) -> None:
    """Build it aside and rename it, so a mirror that exists is whole."""
    draft = path.with_name(f"{path.name}.new-{secrets.token_hex(6)}")
    init = ("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", str(draft))
    try:
        await git(draft, *init)
        await asyncio.to_thread(_furnish, draft, object_format)
        draft.rename(path)
    finally:
        await delete_folder(draft)


def _furnish(draft: Path, object_format: str) -> None:
    version = 1 if object_format != "sha1" else 0
    config = _CONFIG.format(version=version, object_format=object_format)
    (draft / "config").write_text(config if version else config.partition("[extensions]")[0])
    (draft / "info").mkdir(exist_ok=True)
    (draft / "info" / "attributes").write_text(_ATTRIBUTES)
    (draft / "info" / "exclude").write_text(_EXCLUDED)


async def _fetch(path: Path, source: Source, depth: int | None) -> None:
    place = str(source.files.git_dir) if source.files else source.location
    limit = (f"--depth={depth}",) if depth and not source.files else ()
    try:
        await git(
            path,
            *_FETCH,
            *limit,
            "--",
            place,
            f"+HEAD:{SOURCE_HEAD}",
            "+refs/heads/*:refs/remotes/source/*",
            seconds=FETCH_SECONDS,
            network=source.files is None,
        )
    except BullpenError as error:
        if error.code not in ("git-failed", UnusableRepository.code):
            raise
        remedy = "Run git fsck in it." if source.files else "Check the URL and your access to it."
        raise UnusableRepository(
            f"{source.shown} cannot be copied: {error.sentence}", remedy=remedy
        ) from error


async def _base(path: Path, source: Source) -> str:
    """The head that was looked at; if it was taken back meanwhile, the head that was fetched."""
    for name in (source.head, SOURCE_HEAD):
        known = await git(path, "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}", accept=(0, 1, 128))
        if known.status == 0:
            return known.text
    raise UnusableRepository(f"{source.shown} has no commit to start from.", remedy="Make one first.")
