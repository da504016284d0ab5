"""Git in the worktree of a task. Protected branches are out of bounds unless the run allows them."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field

from bullpen.domain.errors import InvalidInput, PermissionRefused
from bullpen.tools.base import AnyText, BlamedLine, Commit, Git, Risk, ToolContext, need, tool
from bullpen.tools.workspace import normal

# what git check-ref-format allows, and no leading dash that could be read as an option
_BRANCH = re.compile(r"^(?!-)(?!.*(\.\.|//|@\{|\.lock(/|$)|/\.|\.$|/$))[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}$")


def _is_branch(name: str) -> str:
    if not _BRANCH.fullmatch(name):
        raise InvalidInput(f"{name!r} is not a usable name for a branch or tag.")
    return name


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """A file that differs from the last commit; ``code`` is git's two letters."""

    code: str
    path: str


@dataclass(frozen=True, slots=True)
class Status:
    """The branch, and what differs from its last commit."""

    branch: str
    changed: tuple[ChangedFile, ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """A unified diff; empty where nothing differs."""

    diff: str


@dataclass(frozen=True, slots=True)
class Log:
    """Commits, the newest first."""

    commits: tuple[Commit, ...]


@dataclass(frozen=True, slots=True)
class Blame:
    """Who last changed each line."""

    lines: tuple[BlamedLine, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the branch stands now."""

    branch: str
    commit: str


@tool(risk=Risk.READ)
async def git_status(ctx: ToolContext) -> Status:
    """Show the branch and the files that differ from its last commit."""
    git = _git(ctx)
    changed = tuple(ChangedFile(code, path) for code, path in await git.status())
    return Status(await git.branch(), changed)


@tool(risk=Risk.READ)
async def git_diff(ctx: ToolContext, base: str = "", paths: list[AnyText] | None = None) -> Diff:
    """Show what differs, new files included.

    Args:
        base: A branch or commit to compare with; empty means the last commit.
        paths: Only these files.
    """
    base = _is_branch(base) if base else ""
    return Diff(await _git(ctx).diff(base, [normal(path) for path in paths or ()]))


@tool(risk=Risk.READ)
async def git_log(
    ctx: ToolContext, limit: Annotated[int, Field(ge=1, le=200)] = 20, path: AnyText = ""
) -> Log:
    """Show the newest commits.

    Args:
        limit: How many.
        path: Only those that changed this file.
    """
    return Log(tuple(await _git(ctx).log(limit, normal(path) if path else "")))


@tool(risk=Risk.READ)
async def git_blame(
    ctx: ToolContext, path: AnyText, first: Annotated[int, Field(ge=1)], last: Annotated[int, Field(ge=1)]
) -> Blame:
    """Show who last changed lines of a file, and in which commit.

    Args:
        path: The file, relative to the workspace.
        first: The first line, from 1.
        last: The last line.
    """
    if last < first:
        raise InvalidInput(f"The last line {last} is before the first line {first}.")
    return Blame(tuple(await _git(ctx).blame(normal(path), first, last)))


@tool(risk=Risk.WRITE)
async def create_branch(ctx: ToolContext, name: str) -> Moved:
    """Create a branch here and check it out.

    Args:
        name: Its name.
    """
    git = _git(ctx)
    _permit(ctx, _is_branch(name), "created")
    await git.create_branch(name)
    return Moved(name, "")


@tool(risk=Risk.WRITE)
async def commit(
    ctx: ToolContext, message: Annotated[str, Field(min_length=3)], paths: list[AnyText] | None = None
) -> Moved:
    """Commit changes to the current branch.

    Args:
        message: What was changed and why.
        paths: Only these files; leave it out for everything.
    """
    git = _git(ctx)
    branch = await _own_branch(ctx, git, "committed to")
    return Moved(branch, await git.commit(message, [normal(path) for path in paths or ()]))


@tool(risk=Risk.WRITE)
async def merge(ctx: ToolContext, branch: str) -> Moved:
    """Merge another branch into the current one. Nothing is changed if they conflict.

    Args:
        branch: The branch to take in.
    """
    git = _git(ctx)
    here = await _own_branch(ctx, git, "merged into")
    return Moved(here, await git.merge(_is_branch(branch)))


@tool(risk=Risk.WRITE)
async def rebase(ctx: ToolContext, onto: str) -> Moved:
    """Put the commits of the current branch on top of another one. Nothing is changed if they conflict.

    Args:
        onto: The branch to build on.
    """
    git = _git(ctx)
    here = await _own_branch(ctx, git, "rebased")
    return Moved(here, await git.rebase(_is_branch(onto)))


@tool(risk=Risk.WRITE)
async def tag(ctx: ToolContext, name: str, message: Annotated[str, Field(min_length=3)]) -> Moved:
    """Tag the last commit.

    Args:
        name: The tag.
        message: What it stands for.
    """
    await _git(ctx).tag(_is_branch(name), message)
    return Moved(name, "")


@tool(risk=Risk.NETWORK)
async def push(ctx: ToolContext, branch: str) -> Moved:
    """Send a branch to where the project keeps it. History that is there already is never overwritten.

    Args:
        branch: The branch to send.
    """
    git = _git(ctx)
    _permit(ctx, _is_branch(branch), "pushed")
    await git.push(branch)
    return Moved(branch, "")


def _git(ctx: ToolContext) -> Git:
    return need(ctx.skills.git, "git")


async def _own_branch(ctx: ToolContext, git: Git, done: str) -> str:
    branch = await git.branch()
    if not branch:
        raise PermissionRefused("No branch is checked out here.", remedy="Create a branch first.")
    _permit(ctx, branch, done)
    return branch


def _permit(ctx: ToolContext, branch: str, done: str) -> None:
    if not ctx.allow_protected and any(fnmatchcase(branch, pattern) for pattern in ctx.protected):
        raise PermissionRefused(
            f"The branch {branch!r} is protected and may not be {done}.",
            remedy="Work on a branch of your own.",
        )


TOOLS = (git_status, git_diff, git_log, git_blame, create_branch, commit, merge, rebase, tag, push)
