"""Functions with too many ways through them, in many languages; ``#lizard forgives`` is honoured."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import batches, names_back, python_module, run_tool, tool_version
from bullpen.analysis.where import Role, milder, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

LIMIT = 15  # as many as can still be tested one by one; McCabe 1976 says 10, tools in the field use 15
_HIGH = 40
_SUFFIXES = frozenset(
    (
        *(
            ".py",
            ".js",
            ".jsx",
            ".mjs",
            ".cjs",
            ".ts",
            ".tsx",
            ".vue",
            ".go",
            ".java",
            ".kt",
            ".swift",
            ".rb",
        ),
        *(".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".cs", ".rs", ".php", ".scala", ".lua", ".m", ".zig"),
    )
)
# Every decision of every language is one of these, so a file with few of them holds no function with many.
_DECISION = re.compile(
    r"\b(?:if|elif|elsif|elseif|for|foreach|while|until|loop|case|when|unless|match|switch|catch|except|rescue|guard|assert"
    r"|and|or|xor|select|repeat|do)\b|&&|\|\||\?|=>|->",
    re.IGNORECASE,
)
_MINIFIED = (".min.js", ".bundle.js")


class Lizard:
    """Cyclomatic complexity."""

    name = "lizard"
    reach = Reach.FILE

    def version(self) -> str:
        """Of lizard and of this limit."""
        return tool_version("lizard", __file__)

    def wants(self, path: str) -> bool:
        """Sources in the languages it knows, unless written by a machine."""
        return PurePosixPath(path).suffix in _SUFFIXES and not path.endswith(_MINIFIED)

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        suspects = [path for path in paths if len(_DECISION.findall(tree.text(path))) >= LIMIT]
        names = names_back(suspects)
        argv = [*python_module("lizard"), "--csv", "--no-gitignore", f"-C{LIMIT}", "-i-1"]
        found: list[Observation] = []
        for batch in batches(suspects):
            outcome = await run_tool(sandbox, tree, [*argv, *batch])
            found += _observe(outcome.stdout.decode("utf-8", "surrogateescape"), names)
        return found


def _observe(table: str, names: dict[str, str]) -> Iterator[Observation]:
    # columns: lines of code, complexity, tokens, parameters, length, location, file, name, signature, first, last line
    for row in csv.reader(io.StringIO(table, newline="")):
        if len(row) == 11 and row[1].isdecimal() and int(row[1]) > LIMIT and row[6] in names:
            yield _too_complex(names[row[6]], row[7], int(row[1]), int(row[9]))


def _too_complex(path: str, function: str, complexity: int, line: int) -> Observation:
    severity = Severity.HIGH if complexity > _HIGH else Severity.MEDIUM
    return Observation(
        rule="lizard:CCN",
        message=f"{function} has a cyclomatic complexity of {complexity}, more than {LIMIT}.",
        severity=severity if role_of(path) is Role.PRODUCT else milder(severity),
        concern=Concern.MAINTAINABILITY,
        place=Place(path, line, symbol=function),
        analyser="lizard",
        same_as=("ruff:C901",),
        url="https://github.com/terryyin/lizard#readme",
    )


ANALYSER = Lizard()
