"""Where a repository is said to be: a folder of this machine or a URL, read as hostile text."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bullpen.domain.errors import UnusableRepository

SCHEMES = ("https", "ssh", "git", "file")
_SCP_LIKE = re.compile(
    r"(?:(?P<user>[\w.-]+)@)?(?P<host>[\w.-]+|\[[0-9a-fA-F:.]+\]):(?P<path>[^:].*)", re.DOTALL
)
_HOW = "Give a folder, or a URL that begins with https://, ssh://, git:// or file://."


@dataclass(frozen=True, slots=True)
class RepositoryFiles:
    """The folders of a local repository. ``work_tree`` is None if it is bare.

    ``common_dir`` differs from ``git_dir`` only in a linked worktree.
    """

    git_dir: Path
    common_dir: Path
    work_tree: Path | None


def parse_location(where: str) -> Path | str:
    """A local path, or a URL that is safe to give to git.

    Raises:
        UnusableRepository: it looks like an option, names a program to run, or uses a protocol we do not speak.
    """
    if not where or where.startswith("-") or any(ord(sign) < 32 or ord(sign) == 127 for sign in where):
        raise UnusableRepository(f"{where!r} is neither a folder nor a URL.", remedy=_HOW)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*::", where):
        raise UnusableRepository(
            f"{where!r} names a program for git to run; that is not allowed.", remedy=_HOW
        )
    if "://" in where:
        return _parse_url(where)
    if _is_scp_like(where):
        return where
    return Path(where).expanduser()


def _parse_url(where: str) -> Path | str:
    parts = urlsplit(where)
    if parts.scheme not in SCHEMES:
        raise UnusableRepository(f"The protocol {parts.scheme!r} is not supported.", remedy=_HOW)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise UnusableRepository("A file:// URL must name a folder of this machine.", remedy=_HOW)
        return Path(unquote(parts.path))
    if not parts.hostname or parts.hostname.startswith("-") or (parts.username or "").startswith("-"):
        raise UnusableRepository("The URL has no proper host name.", remedy=_HOW)
    return where


def _is_scp_like(where: str) -> bool:
    """``host:path`` and ``user@host:path``, unless a folder of that name is there or a slash comes first."""
    match = _SCP_LIKE.fullmatch(where)
    if not match or Path(where).exists():
        return False
    if (
        match["host"].startswith("-")
        or match["path"].startswith("-")
        or (match["user"] or "").startswith("-")
    ):
        raise UnusableRepository(f"{where!r} is neither a folder nor a URL.", remedy=_HOW)
    return True


def find_repository(folder: Path) -> RepositoryFiles:
    """The repository ``folder`` is in. Only the layout of files is believed: ``core.worktree`` is not.

    Raises:
        UnusableRepository: no such folder, no permission, or no repository there or above.
    """
    start = _real_folder(folder)
    for place in (start, *start.parents):
        found = _files_at(place)
        if found:
            return found
    raise UnusableRepository(
        f"{folder} is not in a git repository.",
        remedy="Give the path of one, or run: git init && git add -A && git commit",
    )


def _real_folder(folder: Path) -> Path:
    try:
        start = folder.resolve(strict=True)
        if start.is_dir():
            os.scandir(start).close()
            return start
    except FileNotFoundError:
        raise UnusableRepository(f"{folder} does not exist.", remedy="Check the path.") from None
    except PermissionError:
        raise UnusableRepository(f"{folder} may not be read.", remedy="Check its permissions.") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise UnusableRepository(f"{folder} cannot be opened: {error}.", remedy="Check the path.") from error
    raise UnusableRepository(f"{folder} is not a folder.", remedy="Give the folder of a repository.")


def _files_at(place: Path) -> RepositoryFiles | None:
    try:
        return _checkout_at(place) or _bare_at(place)
    except PermissionError:
        raise UnusableRepository(f"{place} may not be read.", remedy="Check its permissions.") from None


def _checkout_at(place: Path) -> RepositoryFiles | None:
    dot_git = place / ".git"
    if dot_git.is_dir() and _looks_like_git_dir(dot_git):
        return RepositoryFiles(dot_git.resolve(), dot_git.resolve(), place)
    if dot_git.is_file():
        git_dir = _linked_git_dir(dot_git)
        return RepositoryFiles(git_dir, _common_dir(git_dir), place)
    return None


def _bare_at(place: Path) -> RepositoryFiles | None:
    if not _looks_like_git_dir(place):
        return None
    if place.name == ".git":  # the path was given into a checkout's own folder
        return RepositoryFiles(place, place, place.parent)
    return RepositoryFiles(place, place, None)


def _looks_like_git_dir(place: Path) -> bool:
    """The signs git itself looks for. Asking for ``refs`` and ``objects`` also proves that they may be seen."""
    has_head = (place / "HEAD").is_file() or (place / "HEAD").is_symlink()
    return has_head and (place / "objects").is_dir() and (place / "refs").exists()


def _linked_git_dir(dot_git: Path) -> Path:
    text = os.fsdecode(_first_bytes(dot_git))
    target = dot_git.parent / text.removeprefix("gitdir:").strip()
    if not text.startswith("gitdir:") or not (target / "HEAD").is_file():
        raise UnusableRepository(
            f"{dot_git} points to a git directory that is not there.", remedy="Run git worktree repair."
        )
    return target.resolve()


def _common_dir(git_dir: Path) -> Path:
    marker = git_dir / "commondir"
    if not marker.is_file():
        return git_dir
    return (git_dir / os.fsdecode(_first_bytes(marker)).strip()).resolve()


def _first_bytes(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(4096)
