"""Code as code: rename a symbol, format a file, run something in the sandbox."""

import keyword
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bullpen.domain.change import FileChange
from bullpen.domain.errors import Conflict, InvalidInput, Missing, NotFound
from bullpen.sandbox.base import Command, Mount
from bullpen.testing.base import Environment
from bullpen.tools.base import AnyText, Risk, ToolContext, need, tool
from bullpen.tools.families.files import current, write_changes
from bullpen.tools.rename import rename_in_tree
from bullpen.tools.text import cut
from bullpen.tools.workspace import normal, read_bytes, unified, walk

_LONGEST_OUTPUT = 6000
_RUFF = "/opt/bullpen/bin/ruff"
_RUFF_FILES = ("ruff.toml", ".ruff.toml")


@dataclass(frozen=True, slots=True)
class Changed:
    """What was changed."""

    changed: tuple[str, ...]
    diff: str


@dataclass(frozen=True, slots=True)
class CommandRun:
    """How a command ended; the middle of long output is left out. ``refused`` are hosts it asked for in vain."""

    ended: str
    exit_status: int | None
    stdout: str
    stderr: str
    refused: tuple[str, ...] = ()


@tool(risk=Risk.WRITE)
async def rename_symbol(ctx: ToolContext, path: AnyText, old: str, new: str) -> Changed:
    """Rename a function, class or variable of a Python module, and every use of it that imports show.

    Uses by name in strings or through getattr are not seen: search for them.

    Args:
        path: The file in which it is defined at the top level.
        old: Its name.
        new: Its new name.
    """
    if not new.isidentifier() or keyword.iskeyword(new):
        raise InvalidInput(f"{new!r} is not a name Python takes.")
    name = normal(path)
    sources = {
        one: read_bytes(ctx.workspace, one)
        for one in walk(ctx.workspace)
        if one.endswith(".py") and (one == name or _mentions(ctx, one, old))
    }
    if name not in sources:
        raise NotFound(f"There is no Python file {path!r}.")
    changes = rename_in_tree(sources, name, old, new)
    await write_changes(ctx, changes)
    return _changed(changes)


@tool(risk=Risk.WRITE)
async def format_file(ctx: ToolContext, path: AnyText) -> Changed:
    """Format a Python file as the project does. Refused if the project does not configure a formatter.

    Args:
        path: The file, relative to the workspace.
    """
    name = normal(path)
    before = read_bytes(ctx.workspace, name)
    _require_formatter(ctx)
    outcome = await need(ctx.sandbox, "sandbox").run(
        Command(
            (_RUFF, "format", "--no-cache", "--stdin-filename", name, "-"),
            workspace=ctx.workspace,
            mounts=(Mount(_ruff(), _RUFF),),
            limits=ctx.limits,
            stdin=before,
        )
    )
    if not outcome.ok:
        said = outcome.stderr.decode("utf-8", "replace").strip()
        raise Conflict(f"The formatter could not format {path!r}: {cut(said, 500)}")
    changes = [FileChange(name, before, outcome.stdout)] if outcome.stdout != before else []
    await write_changes(ctx, changes)
    return _changed(changes)


@tool(risk=Risk.EXECUTE)
async def run_code(ctx: ToolContext, code: str, stdin: str = "") -> CommandRun:
    """Run Python code in the sandbox, with the project importable and without network.

    Args:
        code: The code.
        stdin: What it can read from standard input.
    """
    python = need(ctx.environment, "environment").python
    if not python:
        raise Missing("This project's environment has no Python.")
    return await _run(ctx, (python, "-c", code), stdin)


@tool(risk=Risk.EXECUTE)
async def run_command(
    ctx: ToolContext, argv: Annotated[list[str], Field(min_length=1, max_length=256)], stdin: str = ""
) -> CommandRun:
    """Run a program in the sandbox, in the workspace, without network and without a shell.

    The workspace can only be read, unless the task may change all of it.

    Args:
        argv: The program and its arguments, one by one.
        stdin: What it can read from standard input.
    """
    return await _run(ctx, tuple(argv), stdin)


@tool(risk=Risk.NETWORK)
async def run_online(
    ctx: ToolContext,
    argv: Annotated[list[str], Field(min_length=1, max_length=256)],
    hosts: Annotated[list[str], Field(min_length=1, max_length=32)],
) -> CommandRun:
    """Run a program in the sandbox that may reach the named hosts, and no others, through an HTTP proxy.

    Args:
        argv: The program and its arguments, one by one.
        hosts: What it may reach, each with its port, such as example.org:443.
    """
    return await _run(ctx, tuple(argv), "", tuple(hosts))


async def _run(
    ctx: ToolContext, argv: tuple[str, ...], stdin: str, hosts: tuple[str, ...] = ()
) -> CommandRun:
    environment = ctx.environment or Environment("none")
    command = Command(
        argv,
        workspace=ctx.workspace,
        workspace_writable=ctx.scope.files is None and ctx.worktree is not None,
        env=_variables(environment),
        mounts=environment.mounts,
        limits=ctx.limits,
        stdin=stdin.encode("utf-8", "surrogateescape"),
        hosts=hosts,
    )
    outcome = await need(ctx.sandbox, "sandbox").run(command)
    said, complained = _shown(outcome.stdout), _shown(outcome.stderr)
    return CommandRun(outcome.end.value, outcome.exit_status, said, complained, outcome.refused_hosts)


def _variables(environment: Environment) -> dict[str, str]:
    paths = {"PYTHONPATH": ":".join(environment.import_paths)} if environment.import_paths else {}
    return {**paths, **dict(environment.variables)}


def _shown(output: bytes) -> str:
    """The start and the end, where most is said."""
    text = output.decode("utf-8", "surrogateescape")
    if len(text) <= _LONGEST_OUTPUT:
        return text
    half = _LONGEST_OUTPUT // 2
    return f"{text[:half]}\n… [{len(text) - 2 * half} characters left out]\n{text[-half:]}"


def _changed(changes: list[FileChange]) -> Changed:
    diff = "".join(unified(change.path, change.before, change.after) for change in changes)
    return Changed(tuple(change.path for change in changes), diff)


def _mentions(ctx: ToolContext, path: str, name: str) -> bool:
    return name.encode() in (current(ctx, path) or b"")


def _require_formatter(ctx: ToolContext) -> None:
    """Only ruff's own configuration counts as a wish to be formatted by it."""
    if any(current(ctx, name) is not None for name in _RUFF_FILES):
        return
    try:
        settings = tomllib.loads((current(ctx, "pyproject.toml") or b"").decode("utf-8"))
    except ValueError as error:
        raise InvalidInput(f"pyproject.toml cannot be read: {error}.") from error
    if "ruff" not in settings.get("tool", {}):
        raise NotFound(
            "This project configures no formatter that is known here.", remedy="Keep to the style around."
        )


def _ruff() -> Path:
    from ruff import find_ruff_bin

    return Path(find_ruff_bin())


TOOLS = (rename_symbol, format_file, run_code, run_command, run_online)
