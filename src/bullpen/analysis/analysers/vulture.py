"""Dead Python code vulture is sure of (80 % and more); ``# noqa`` is honoured. To be reported, not deleted on its word."""

import re
from collections.abc import Iterator, Sequence

from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import all_or_tree, names_back, python_module, run_tool, tool_version
from bullpen.analysis.where import Role, milder, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

_LEAST_CONFIDENCE = 80
_LINE = re.compile(r"(?P<path>.+?):(?P<line>\d+): (?P<what>.+) \((?P<confidence>\d+)% confidence(?:, .*)?\)")
_FOUND, _FAULTY_INPUT = (
    3,
    1,
)  # exit statuses; a file that does not parse is left out, the others are looked at
# Parameters are often required by whoever calls, so an unused one says little.
_SEVERITY = {"unreachable-code": Severity.MEDIUM, "unused-variable": Severity.INFO}
_SAME = {"unused-import": ("ruff:F401",)}


class Vulture:
    """Code nothing reaches."""

    name = "vulture"
    reach = Reach.TREE

    def version(self) -> str:
        """Of vulture and of this selection."""
        return tool_version("vulture", __file__)

    def wants(self, path: str) -> bool:
        """Python sources: use in one file keeps code of another alive."""
        return path.endswith(".py")

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        if not paths:
            return []
        argv = [*python_module("vulture"), "--config=/dev/null", f"--min-confidence={_LEAST_CONFIDENCE}"]
        statuses = frozenset({0, _FAULTY_INPUT, _FOUND})
        outcome = await run_tool(sandbox, tree, [*argv, *all_or_tree(paths)], statuses=statuses)
        return list(_observe(outcome.stdout.decode("utf-8", "surrogateescape"), names_back(paths)))


def _observe(output: str, names: dict[str, str]) -> Iterator[Observation]:
    for line in output.splitlines():
        match = _LINE.fullmatch(line)
        if match and match["path"] in names:
            yield _dead(names[match["path"]], int(match["line"]), match["what"])


def _dead(path: str, line: int, what: str) -> Observation:
    code = "-".join(what.split()[:2])
    severity = _SEVERITY.get(code, Severity.LOW)
    return Observation(
        rule=f"vulture:{code}",
        message=f"{what[:1].upper()}{what[1:]}.",
        severity=severity if role_of(path) is Role.PRODUCT else milder(severity),
        concern=Concern.MAINTAINABILITY,
        place=Place(path, line),
        analyser="vulture",
        same_as=_SAME.get(code, ()),
        url="https://github.com/jendrikseipp/vulture#readme",
    )


ANALYSER = Vulture()
