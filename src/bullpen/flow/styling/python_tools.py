"""The configuration of ruff, black, isort and flake8, held by ruff, which does what each of them does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bullpen.analysis.base import SourceTree
from bullpen.analysis.tools import parse_json, program, run_tool
from bullpen.flow.styling.configured import ini_section, number_of, toml_table
from bullpen.sandbox.base import Sandbox

_RUFF_FILES = ("ruff.toml", ".ruff.toml")
# A project may set fix = true: the tree is read-only, and what ruff cannot write it reports in place of what it saw.
_CHECK = ("check", "--no-cache", "--no-fix", "--exit-zero", "--output-format", "json")
_ENDS = frozenset({0, 1, 2})
_BLACK_WIDTH, _FLAKE8_WIDTH = 88, 79
_FLAKE8_RULES = "E,F,W"
_FLAKE8_FILES = (".flake8", "setup.cfg", "tox.ini")


async def python_problems(root: Path, paths: Sequence[str], sandbox: Sandbox) -> frozenset[str]:
    """What is wrong with Python files: ``path: rule`` with a count, and files not formatted. Where ruff is configured,
    nothing else is asked.
    """
    tree = SourceTree(root, dict.fromkeys(paths, ""))
    configured = ruff_sections(root)
    if configured:
        problems = await _lint(tree, paths, sandbox, ())
        return problems | await _format(tree, paths, sandbox, ()) if "format" in configured else problems
    problems: frozenset[str] = frozenset()
    if (black := _black(root)) is not None:
        problems |= await _format(tree, paths, sandbox, black)
    for rules in filter(None, (_flake8(root), _isort(root))):
        problems |= await _lint(tree, paths, sandbox, rules)
    return problems


def ruff_sections(root: Path) -> frozenset[str]:
    """Which of ``lint`` and ``format`` a project's files configure; formatting counts only if it is named."""
    for name in _RUFF_FILES:
        if (root / name).is_file():
            return _sections(toml_table(root, name) or {})
    table = toml_table(root, "pyproject.toml", "tool", "ruff")
    return _sections(table) if table is not None else frozenset()


def python_width(root: Path) -> int | None:
    """The width ruff or black is told of; None where neither is."""
    tables = [toml_table(root, name) for name in _RUFF_FILES]
    tables += [toml_table(root, "pyproject.toml", "tool", name) for name in ("ruff", "black")]
    return next((width for one in tables if one and (width := number_of(one.get("line-length")))), None)


def _sections(configuration: dict[str, Any]) -> frozenset[str]:
    return frozenset({"lint"} | ({"format"} if "format" in configuration else set()))


def _black(root: Path) -> tuple[str, ...] | None:
    table = toml_table(root, "pyproject.toml", "tool", "black")
    if table is None:
        return None
    quotes = "preserve" if table.get("skip-string-normalization") is True else "double"
    width = number_of(table.get("line-length")) or _BLACK_WIDTH
    return _options(f"line-length = {width}", f'format.quote-style = "{quotes}"')


def _flake8(root: Path) -> tuple[str, ...] | None:
    section = next((found for name in _FLAKE8_FILES if (found := ini_section(root, name, "flake8"))), None)
    if section is None:
        return None
    width = number_of(section.get("max-line-length", section.get("max_line_length"))) or _FLAKE8_WIDTH
    ignored = section.get("ignore", "") + "," + section.get("extend-ignore", section.get("extend_ignore", ""))
    rules = [word for word in ignored.replace("\n", ",").replace(" ", ",").split(",") if word.isalnum()]
    known = [word for word in rules if word[0] in _FLAKE8_RULES]
    return (
        *_options(f"line-length = {width}"),
        *("--select", _FLAKE8_RULES, *(("--ignore", ",".join(known)) if known else ())),
    )


def _isort(root: Path) -> tuple[str, ...] | None:
    table = toml_table(root, "pyproject.toml", "tool", "isort") or ini_section(root, ".isort.cfg", "settings")
    if table is None or table.get("profile") != "black":  # ruff sorts as isort does with this profile
        return None
    width = number_of(table.get("line_length")) or _BLACK_WIDTH
    return (*_options(f"line-length = {width}"), "--select", "I")


def _options(*settings: str) -> tuple[str, ...]:
    return ("--isolated", *(word for one in settings for word in ("--config", one)))


async def _lint(
    tree: SourceTree, paths: Sequence[str], sandbox: Sandbox, options: Sequence[str]
) -> frozenset[str]:
    argv = (program("ruff"), *_CHECK, *options, "--", *paths)
    outcome = await run_tool(sandbox, tree, argv, statuses=_ENDS)
    if outcome.exit_status == 2:
        return frozenset()  # its configuration does not fit this ruff: nothing can be held against the change
    counts: dict[str, int] = {}
    for found in parse_json(outcome):  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        key = f"{Path(found['filename']).relative_to('/work')}: {found['code']}"  # pyright: ignore[reportUnknownArgumentType]
        counts[key] = counts.get(key, 0) + 1
    return frozenset(f"{key} #{number}" for key, count in counts.items() for number in range(1, count + 1))


async def _format(
    tree: SourceTree, paths: Sequence[str], sandbox: Sandbox, options: Sequence[str]
) -> frozenset[str]:
    found: set[str] = set()
    for path in paths:
        argv = (program("ruff"), "format", "--no-cache", "--check", "--quiet", *options, "--", path)
        outcome = await run_tool(sandbox, tree, argv, statuses=_ENDS)
        if outcome.exit_status == 1:
            found.add(f"{path}: not formatted")
    return frozenset(found)
