"""Formatters and linters of other languages, where this machine has them: gofmt, prettier, biome, eslint.

They run in the sandbox, since their configuration may be a program. One that cannot say anything of a file says nothing.
"""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import cast

from bullpen.analysis.base import SourceTree
from bullpen.analysis.tools import run_tool
from bullpen.flow.styling.configured import json_table, read_setting
from bullpen.sandbox.base import Sandbox

_SCRIPTS = frozenset({".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts"})
_PRETTIER = (
    *(".prettierrc", ".prettierrc.json", ".prettierrc.yaml", ".prettierrc.yml", ".prettierrc.toml"),
    *(".prettierrc.js", ".prettierrc.cjs", ".prettierrc.mjs", "prettier.config.js", "prettier.config.mjs"),
)
_ESLINT = (
    *("eslint.config.js", "eslint.config.mjs", "eslint.config.cjs"),
    *(".eslintrc", ".eslintrc.json", ".eslintrc.js", ".eslintrc.cjs", ".eslintrc.yml", ".eslintrc.yaml"),
)
_BIOME = ("biome.json", "biome.jsonc")
_ENDS = frozenset(range(256))
_SYSTEM = Path("/usr")  # what every sandbox sees


async def machine_problems(root: Path, paths: Sequence[str], sandbox: Sandbox) -> frozenset[str]:
    """``path: not formatted`` and ``path: rule`` with a count, by whatever the project configures and is here."""
    tree = SourceTree(root, dict.fromkeys(paths, ""))
    scripts = [path for path in paths if PurePosixPath(path).suffix in _SCRIPTS]
    found: set[str] = set()
    for name, options, files in (
        ("gofmt", ("-l",), [path for path in paths if path.endswith(".go")]),  # Go has one convention
        ("prettier", ("--check",), scripts if _uses_prettier(root) else []),
        ("biome", ("format",), scripts if _has_one(root, _BIOME) else []),
    ):
        tool = machine_program(name)
        if tool and files:
            found |= await _unformatted(tree, (tool, *options), files, sandbox)
    eslint = machine_program("eslint")
    if eslint and scripts and _has_one(root, _ESLINT):
        found |= await _linted(tree, eslint, scripts, sandbox)
    return frozenset(found)


def machine_program(name: str) -> str:
    """Where a program of this machine is that a sandbox sees too; empty if there is none."""
    found = shutil.which(name)
    return found if found and Path(found).resolve().is_relative_to(_SYSTEM) else ""


def _uses_prettier(root: Path) -> bool:
    return _has_one(root, _PRETTIER) or "prettier" in json_table(root, "package.json")


def _has_one(root: Path, names: Sequence[str]) -> bool:
    return any(read_setting(root, name) is not None for name in names)


async def _unformatted(
    tree: SourceTree, argv: Sequence[str], paths: Sequence[str], sandbox: Sandbox
) -> set[str]:
    """Each file alone, so that one that cannot be read says nothing of the others. gofmt names what it would change."""
    found: set[str] = set()
    for path in paths:
        outcome = await run_tool(sandbox, tree, (*argv, f"/work/{path}"), statuses=_ENDS)
        named = bool(outcome.stdout.strip()) and outcome.exit_status == 0
        if named if argv[-1] == "-l" else outcome.exit_status == 1:
            found.add(f"{path}: not formatted")
    return found


async def _linted(tree: SourceTree, eslint: str, paths: Sequence[str], sandbox: Sandbox) -> set[str]:
    inside = {f"/work/{path}": path for path in paths}
    outcome = await run_tool(sandbox, tree, (eslint, "--format", "json", "--", *inside), statuses=_ENDS)
    if outcome.exit_status not in {0, 1}:
        return set()  # its plugins are not here: nothing can be held against the change
    counts = Counter(_messages(outcome.stdout, inside))
    return {f"{words} #{number}" for words, count in counts.items() for number in range(1, count + 1)}


def _messages(said: bytes, inside: Mapping[str, str]) -> list[str]:
    try:
        files = cast("list[dict[str, object]]", json.loads(said))
    except json.JSONDecodeError:
        return []
    return [
        f"{inside[str(file.get('filePath'))]}: {message.get('ruleId')}"
        for file in files
        if file.get("filePath") in inside
        for message in cast("list[dict[str, object]]", file.get("messages", []))
    ]
