"""How a repository's files came to be: who changes what, how often, how lately. One pass over the log."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bullpen.vcs.git import GitDir, git
from bullpen.vcs.trees import checked

MOST_COMMITS = 5000
_DAY = 86400  # seconds


@dataclass(frozen=True, slots=True)
class FileHistory:
    """One file's past within the commits looked at. Times are seconds since 1970; lines of binary files count 0."""

    path: str
    commits: int
    added: int
    deleted: int
    authors: frozenset[str]
    first_at: int
    last_at: int

    @property
    def churn(self) -> int:
        """Lines added and deleted."""
        return self.added + self.deleted


@dataclass(frozen=True, slots=True)
class History:
    """The past of every file that changed. ``complete`` is False if there were more commits than the limit."""

    files: Mapping[str, FileHistory]
    commits: int
    complete: bool


@dataclass(frozen=True, slots=True)
class _Change:
    at: int
    author: str
    added: int
    deleted: int


async def read_history(
    repo: GitDir | Path, commit: str, *, since: int = 0, most: int = MOST_COMMITS
) -> History:
    """Changes of each file in the newest ``most`` commits made after ``since`` (seconds since 1970).

    Merges are left out, and renames count as a new file.
    """
    young = (f"--since=@{since}",) if since else ()
    result = await git(
        repo,
        *("log", "--numstat", "-z", "--no-renames", "--no-merges", f"--max-count={most + 1}"),
        *("--format=%x01%at%x02%ae", *young, "--no-ext-diff", "--no-textconv", checked(commit)),
        seconds=300.0,
    )
    return _gather(result.fields(), most)


async def count_commits(
    repo: GitDir | Path, commit: str, *, days: int, most: int = MOST_COMMITS
) -> dict[str, int]:
    """By path, how many of the newest ``most`` commits within ``days`` before ``commit`` changed it.

    Counted back from the commit's own time, so the answer is the same tomorrow. Merges are left out, and renames count as
    a new file. Reads no contents: an order of magnitude cheaper than ``read_history``.
    """
    log = ("log", "-z", "--no-ext-diff", "--no-textconv")
    end = (await git(repo, *log, "--max-count=1", "--format=%ct", checked(commit))).fields()
    since = int(end[0]) - days * _DAY
    result = await git(
        repo,
        *(*log, "--name-only", "--no-renames", "--no-merges", f"--max-count={most}"),
        *("--format=", f"--since=@{since}", checked(commit)),
        seconds=300.0,
    )
    return Counter(path for field in result.fields() if (path := field.lstrip("\n")))


def _gather(fields: list[str], most: int) -> History:
    changes: dict[str, list[_Change]] = {}
    commits = 0
    for commits, at, author, rest in _changes(fields):
        if commits > most:
            break
        added, deleted, path = rest.split("\t", 2)
        change = _Change(at, author, _count(added), _count(deleted))
        changes.setdefault(path, []).append(change)
    files = {path: _file_history(path, entries) for path, entries in changes.items()}
    return History(files, min(commits, most), complete=commits <= most)


def _changes(fields: list[str]) -> Iterator[tuple[int, int, str, str]]:
    """Number of the commit, its time and author, and one line of its statistics."""
    number, at, author = 0, 0, ""
    for field in fields:
        if field.startswith("\x01"):
            time, _, author = field[1:].partition("\x02")
            number, at = number + 1, int(time)
        elif field.strip("\n"):
            yield number, at, author, field.lstrip("\n")


def _count(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _file_history(path: str, changes: list[_Change]) -> FileHistory:
    return FileHistory(
        path=path,
        commits=len(changes),
        added=sum(change.added for change in changes),
        deleted=sum(change.deleted for change in changes),
        authors=frozenset(change.author for change in changes),
        first_at=min(change.at for change in changes),
        last_at=max(change.at for change in changes),
    )
