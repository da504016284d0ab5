"""Style: the project's own formatter and linter configuration, where it has one."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from bullpen.analysis.base import SourceTree
from bullpen.analysis.tools import parse_json, program, run_tool
from bullpen.sandbox.base import Sandbox

_RUFF_FILES = ("ruff.toml", ".ruff.toml")
# A project may set fix = true: the tree is read-only, and what ruff cannot write it reports in place of what it saw.
_CHECK = ("check", "--no-cache", "--no-fix", "--exit-zero", "--output-format", "json")
_ENDS = frozenset({0, 1, 2})


async def style_problems(root: Path, paths: Sequence[str], sandbox: Sandbox) -> frozenset[str]:
    """What ruff says with the project's own configuration: ``path: rule`` with a count, and files not formatted.

    Empty where the project does not configure ruff; then nothing is expected of a change but to look like its
    surroundings, which recipes keep.
    """
    configured = ruff_sections(root)
    if not configured:
        return frozenset()
    tree = SourceTree(root, dict.fromkeys(paths, ""))
    problems = await _lint(tree, paths, sandbox)
    if "format" in configured:
        problems |= await _format(tree, paths, sandbox)
    return problems


def ruff_sections(root: Path) -> frozenset[str]:
    """Which of ``lint`` and ``format`` a project's files configure; formatting counts only if it is named."""
    for name in _RUFF_FILES:
        if (root / name).is_file():
            return _sections(_load(root / name))
    tool = _load(root / "pyproject.toml").get("tool")
    ruff = tool.get("ruff") if isinstance(tool, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return _sections(ruff) if isinstance(ruff, dict) else frozenset()  # pyright: ignore[reportUnknownArgumentType]


def _sections(configuration: dict[str, object]) -> frozenset[str]:
    return frozenset({"lint"} | ({"format"} if "format" in configuration else set()))


def _load(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}  # no configuration that could hold


async def _lint(tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> frozenset[str]:
    outcome = await run_tool(sandbox, tree, (program("ruff"), *_CHECK, "--", *paths), statuses=_ENDS)
    if outcome.exit_status == 2:
        return frozenset()  # its configuration does not fit this ruff: nothing can be held against the change
    counts: dict[str, int] = {}
    for found in parse_json(outcome):  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        key = f"{Path(found['filename']).relative_to('/work')}: {found['code']}"  # pyright: ignore[reportUnknownArgumentType]
        counts[key] = counts.get(key, 0) + 1
    return frozenset(f"{key} #{number}" for key, count in counts.items() for number in range(1, count + 1))


async def _format(tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> frozenset[str]:
    found: set[str] = set()
    for path in paths:
        argv = (program("ruff"), "format", "--no-cache", "--check", "--quiet", "--", path)
        outcome = await run_tool(sandbox, tree, argv, statuses=_ENDS)
        if outcome.exit_status == 1:
            found.add(f"{path}: not formatted")
    return frozenset(found)
