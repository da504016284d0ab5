"""Running the analysers' tools in the sandbox: where they are, what they see, how their failures read.

Inside, the tree is at ``/work`` and the environment this program is installed in at ``/opt/tools``, both read-only.
"""

import hashlib
import json
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import cast

from bullpen.analysis.base import AnalyserFailed, SourceTree
from bullpen.domain.errors import Missing
from bullpen.sandbox.base import Command, End, Limits, Mount, Outcome, Sandbox

WORK = "/work"
TOOLS = "/opt/tools"
PYTHON = "/opt/python"
BATCH_BYTES = 96 * 1024  # of file names on one command line, well under what Linux takes
ALL_BYTES = 1024 * 1024
LIMITS = Limits(wall_seconds=300.0, output_bytes=64 * 1024 * 1024)


def program(name: str) -> str:
    """The path, inside the sandbox, of a program that came with this installation.

    Raises:
        Missing: it is not installed beside this interpreter.
    """
    outside = Path(sysconfig.get_path("scripts")) / name
    if not outside.exists():
        raise Missing(
            f"The program {name!r} is not installed.", remedy="Install bullpen again: pip install bullpen"
        )
    return f"{TOOLS}/{outside.relative_to(sys.prefix)}"


def python_module(name: str) -> tuple[str, ...]:
    """The start of a command line that runs a Python module of this installation, and nothing of the tree's."""
    return (_interpreter(), "-sP", "-m", name)


def python_script(inside: str) -> tuple[str, ...]:
    """The start of a command line that runs a script by its path in the sandbox, without its folder on the path."""
    return (_interpreter(), "-sP", inside)


async def run_tool(
    sandbox: Sandbox,
    tree: SourceTree,
    argv: Sequence[str],
    *,
    statuses: frozenset[int] = frozenset({0, 1}),
    stdin: bytes = b"",
    cwd: str = WORK,
    mounts: tuple[Mount, ...] = (),
    limits: Limits = LIMITS,
) -> Outcome:
    """Run one tool over the tree, read-only and without network. ``statuses`` are the exit statuses that mean success.

    Raises:
        AnalyserFailed: it ended in another way; the message quotes the last thing it said.
    """
    command = Command(
        argv=tuple(argv),
        workspace=tree.root,
        cwd=cwd,
        env=_environment(),
        mounts=(*_tool_mounts(), *mounts),
        limits=limits,
        stdin=stdin,
    )
    outcome = await sandbox.run(command)
    if outcome.end is not End.EXITED or outcome.exit_status not in statuses:
        raise AnalyserFailed(_how_it_failed(outcome))
    return outcome


def batches(paths: Sequence[str], limit: int = BATCH_BYTES) -> Iterator[list[str]]:
    """Split into groups that fit on a command line, each path made absolute so none is taken for an option."""
    batch: list[str] = []
    size = 0
    for path in paths:
        inside = f"{WORK}/{path}"
        length = len(inside.encode("utf-8", "surrogateescape")) + 1
        if batch and size + length > limit:
            yield batch
            batch, size = [], 0
        batch.append(inside)
        size += length
    if batch:
        yield batch


def all_or_tree(paths: Sequence[str]) -> list[str]:
    """For a tool that must see all files at once: each path, or the whole tree where they are too many to name."""
    first, *more = list(batches(paths, ALL_BYTES)) or [[]]
    return [WORK] if more else first


def names_back(paths: Sequence[str]) -> dict[str, str]:
    """From a path as a tool may print it (absolute or relative, undecodable bytes replaced) to the tree's own."""
    names: dict[str, str] = {}
    for path in paths:
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        for form in (path, shown):
            names[form] = names[f"{WORK}/{form}"] = names[f"./{form}"] = path
    return names


def parse_json(outcome: Outcome) -> object:
    """What the tool printed, as JSON.

    Raises:
        AnalyserFailed: it is not JSON.
    """
    try:
        return cast("object", json.loads(outcome.stdout.decode("utf-8", "replace") or "null"))
    except json.JSONDecodeError as error:
        tool = Path(outcome.argv[0]).name
        raise AnalyserFailed(f"{tool} printed something that is not JSON ({error}).") from error


@cache
def tool_version(distribution: str, module_file: str) -> str:
    """Version of a tool and of the file with its rules, so editing either makes cached answers stale."""
    digest = hashlib.sha256(Path(module_file).read_bytes()).hexdigest()[:12]
    return f"{distribution} {distribution_version(distribution)} rules {digest}"


@cache
def own_version(*module_files: str) -> str:
    """Version of an analyser of our own: the files it is made of."""
    digest = hashlib.sha256(b"\0".join(Path(name).read_bytes() for name in module_files))
    return f"rules {digest.hexdigest()[:12]}"


@cache
def _tool_mounts() -> tuple[Mount, ...]:
    base = _base()
    mounts = [Mount(Path(sys.prefix), TOOLS)]
    if not _comes_with_the_system(base):
        mounts.append(Mount(base, PYTHON))
    return tuple(mounts)


@cache
def _interpreter() -> str:
    base = _base()
    executable = _real_executable().relative_to(base)
    return str(base / executable) if _comes_with_the_system(base) else f"{PYTHON}/{executable}"


def _environment() -> Mapping[str, str]:
    packages = [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")]
    inside = dict.fromkeys(f"{TOOLS}/{path.relative_to(sys.prefix)}" for path in packages)
    return {
        "HOME": "/tmp",  # noqa: S108 - inside the sandbox, where /tmp is its own
        "LANG": "C.UTF-8",
        "PATH": f"{TOOLS}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": ":".join(inside),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8:surrogateescape",
        "PYTHONUTF8": "1",
    }


def _real_executable() -> Path:
    return Path(sys.executable).resolve()


def _base() -> Path:
    return _real_executable().parent.parent


def _comes_with_the_system(base: Path) -> bool:
    return base == Path("/usr")


def _how_it_failed(outcome: Outcome) -> str:
    tool = " ".join(Path(word).name for word in outcome.argv[:4] if not word.startswith("-"))
    said = (outcome.stderr.strip() or outcome.stdout.strip()).decode("utf-8", "replace")
    last = said.splitlines()[-1][:300] if said else "it said nothing"
    status = f" with status {outcome.exit_status}" if outcome.end is End.EXITED else ""
    return f"{tool} ended ({outcome.end.value}){status}: {last}"
