"""Blocks of code that are there twice, by jscpd; ``jscpd:ignore-start`` is honoured."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TypedDict, cast

from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import all_or_tree, names_back, parse_json, program, run_tool, tool_version
from bullpen.analysis.where import Role, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

_LEAST_TOKENS = 80
_LEAST_LINES = 8
_MANY_LINES = 30
_FORMATS = {
    **dict.fromkeys((".py", ".pyi"), "python"),
    **dict.fromkeys((".js", ".mjs", ".cjs"), "javascript"),
    ".jsx": "jsx",
    ".ts": "typescript",
    ".tsx": "tsx",
    ".vue": "vue",
    ".go": "go",
    ".java": "java",
    ".kt": "kotlin",
    ".rb": "ruby",
    ".rs": "rust",
    ".php": "php",
    ".cs": "csharp",
    ".swift": "swift",
    ".scala": "scala",
    ".c": "c",
    ".cpp": "cpp",
    ".cc": "cpp",
}
# jscpd writes its report to a folder only, and reads its configuration from the tree unless given another.
_SCRIPT = """
out=$(mktemp -d) && echo '{}' > "$out/configuration.json" || exit 9
"$@" -c "$out/configuration.json" -o "$out" >&2 || exit 9
if [ -e "$out/jscpd-report.json" ]; then cat "$out/jscpd-report.json"; fi
"""


class _File(TypedDict):
    name: str
    start: int
    end: int


class _Clone(TypedDict):
    firstFile: _File
    secondFile: _File
    lines: int


class _Report(TypedDict):
    duplicates: list[_Clone]


class Duplication:
    """Code said twice."""

    name = "duplication"
    reach = Reach.TREE

    def version(self) -> str:
        """Of jscpd and of these limits."""
        return tool_version("jscpd", __file__)

    def wants(self, path: str) -> bool:
        """Sources; tests repeat themselves on purpose."""
        return PurePosixPath(path).suffix in _FORMATS and role_of(path) is Role.PRODUCT

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        if not paths:
            return []
        argv = ["/bin/sh", "-c", _SCRIPT, "sh", program("jscpd"), *_options(), *all_or_tree(paths)]
        outcome = await run_tool(sandbox, tree, argv, statuses=frozenset({0}))
        report = cast("_Report | None", parse_json(outcome))
        return list(_observe(report["duplicates"] if report else [], names_back(paths)))


def _options() -> tuple[str, ...]:
    formats = ",".join(sorted(set(_FORMATS.values())))
    return (
        *("--reporters=json", "--exit-code=0", "--silent", "--absolute", "--no-gitignore", "--no-tips"),
        *(f"--min-tokens={_LEAST_TOKENS}", f"--min-lines={_LEAST_LINES}", f"--format={formats}"),
    )


def _observe(clones: Sequence[_Clone], names: dict[str, str]) -> Iterator[Observation]:
    for clone in clones:
        files = (clone["firstFile"], clone["secondFile"])
        if all(file["name"] in names for file in files):
            original, copy = sorted(files, key=lambda file: (names[file["name"]], file["start"]))
            yield _repeated(clone["lines"], names[original["name"]], original, names[copy["name"]], copy)


def _repeated(lines: int, original: str, first: _File, path: str, copy: _File) -> Observation:
    return Observation(
        rule="duplication:clone",
        message=f"{lines} lines repeat {original}, lines {first['start']} to {first['end']}.",
        severity=Severity.MEDIUM if lines >= _MANY_LINES else Severity.LOW,
        concern=Concern.MAINTAINABILITY,
        place=Place(path, copy["start"], end_line=copy["end"]),
        analyser="duplication",
        url="https://jscpd.dev/",
    )


ANALYSER = Duplication()
