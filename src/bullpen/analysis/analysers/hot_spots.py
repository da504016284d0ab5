"""Files that are hard to follow and change all the time: where a fault is most likely to be made next.

Churn × complexity, after Tornhill, Your Code as a Crime Scene (2015). Churn comes from the history, complexity is the sum
over functions that lizard counts.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bullpen.analysis.analysers.lizard import ANALYSER as LIZARD
from bullpen.analysis.analysers.lizard import LIMIT
from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import batches, names_back, python_module, run_tool, tool_version
from bullpen.analysis.where import Role, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

LEAST_COMMITS = 12  # in a year: once a month
_LEAST_COMPLEXITY = 60  # all ways through all functions of the file
_OFTEN = 40
_MOST_SUSPECTS = 20
_MOST_FOUND = 5  # a list of all that is busy says nothing


@dataclass(frozen=True, slots=True)
class _Function:
    name: str
    complexity: int
    line: int


class HotSpots:
    """The few files that are both complex and often changed."""

    name = "hot-spots"
    reach = Reach.KNOWN

    def version(self) -> str:
        """Of lizard and of these limits."""
        return tool_version("lizard", __file__)

    def wants(self, path: str) -> bool:
        """Sources of the product that lizard can read."""
        return role_of(path) is Role.PRODUCT and LIZARD.wants(path)

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        churn = {path: commits for path in paths if (commits := tree.churn.get(path, 0)) >= LEAST_COMMITS}
        suspects = sorted(churn, key=lambda path: (-churn[path], path))[:_MOST_SUSPECTS]
        functions = await _functions(tree, suspects, sandbox)
        hot = [path for path in suspects if _is_hard(functions.get(path, ()))]
        hot.sort(key=lambda path: (-churn[path] * _total(functions[path]), path))
        return [_hot_spot(path, churn[path], functions[path]) for path in hot[:_MOST_FOUND]]


async def _functions(
    tree: SourceTree, paths: Sequence[str], sandbox: Sandbox
) -> Mapping[str, Sequence[_Function]]:
    found: defaultdict[str, list[_Function]] = defaultdict(list)
    names = names_back(paths)
    for batch in batches(paths):
        argv = [*python_module("lizard"), "--csv", "--no-gitignore", "-i-1", *batch]
        outcome = await run_tool(sandbox, tree, argv)
        for shown, function in _read(outcome.stdout.decode("utf-8", "surrogateescape")):
            if shown in names:
                found[names[shown]].append(function)
    return found


def _read(table: str) -> Iterator[tuple[str, _Function]]:
    # columns: lines of code, complexity, tokens, parameters, length, location, file, name, signature, first, last line
    for row in csv.reader(io.StringIO(table, newline="")):
        if len(row) == 11 and row[1].isdecimal() and row[9].isdecimal():
            yield row[6], _Function(row[7], int(row[1]), int(row[9]))


def _is_hard(functions: Sequence[_Function]) -> bool:
    return _total(functions) >= _LEAST_COMPLEXITY and _hardest(functions).complexity > LIMIT


def _total(functions: Sequence[_Function]) -> int:
    return sum(each.complexity for each in functions)


def _hardest(functions: Sequence[_Function]) -> _Function:
    return max(functions, key=lambda each: (each.complexity, -each.line))


def _hot_spot(path: str, commits: int, functions: Sequence[_Function]) -> Observation:
    hardest = _hardest(functions)
    return Observation(
        rule="hot-spots:churn-and-complexity",
        message=f"This file changed in {commits} commits within a year and has {_total(functions)} ways through its"
        f" {len(functions)} functions; the hardest is {hardest.name} with {hardest.complexity}.",
        severity=Severity.MEDIUM if commits >= _OFTEN else Severity.LOW,
        concern=Concern.ARCHITECTURE,
        place=Place(path, max(hardest.line, 1), symbol=hardest.name),
        analyser="hot-spots",
        url="https://www.adamtornhill.com/articles/crimescene/codeascrimescene.htm",
    )


ANALYSER = HotSpots()
