"""The few tests of bandit that ruff has no equivalent of; ``# nosec`` is honoured.

Bandit takes a third of a second to start, so files that hold none of the words its tests look for are not shown to it.
"""

from collections.abc import Sequence
from typing import TypedDict, cast

from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import batches, names_back, parse_json, python_module, run_tool, tool_version
from bullpen.analysis.where import Role, milder, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

# Each test with the words of which one must be in a file that fails it.
_TESTS: dict[str, tuple[str, ...]] = {
    "B613": tuple("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200f"),
    "B614": ("torch",),
    "B615": ("from_pretrained", "load_dataset", "hf_hub_download", "snapshot_download"),
    "B411": ("xmlrpc",),
    "B412": ("CGIHandler", "httpoxy", "wsgiref", "twisted"),
    "B413": ("Crypto",),
    "B415": ("pyghmi",),
    "B703": ("mark_safe",),
}
_SEVERITY = {"LOW": Severity.LOW, "MEDIUM": Severity.MEDIUM, "HIGH": Severity.HIGH}
_SAME = {"B613": ("ruff:PLE2502",), "B703": ("ruff:S308",)}


class _Result(TypedDict):
    filename: str
    issue_severity: str
    issue_text: str
    line_number: int
    line_range: list[int]
    col_offset: int
    more_info: str
    test_id: str


class _Report(TypedDict):
    results: list[_Result]


class Bandit:
    """Security faults in Python that need bandit."""

    name = "bandit"
    reach = Reach.FILE

    def version(self) -> str:
        """Of bandit and of this selection."""
        return tool_version("bandit", __file__)

    def wants(self, path: str) -> bool:
        """Python sources."""
        return path.endswith(".py")

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        words = [word for needed in _TESTS.values() for word in needed]
        suspects = [path for path in paths if _holds(tree.text(path), words)]
        names = names_back(suspects)
        argv = [*python_module("bandit"), "-q", "-f", "json", "-t", ",".join(_TESTS)]
        found: list[Observation] = []
        for batch in batches(suspects):
            report = cast("_Report", parse_json(await run_tool(sandbox, tree, [*argv, *batch])))
            found += [
                _observe(each, names[each["filename"]])
                for each in report["results"]
                if each["filename"] in names
            ]
        return found


def _holds(text: str, words: Sequence[str]) -> bool:
    return any(word in text for word in words)


def _observe(result: _Result, path: str) -> Observation:
    severity = _SEVERITY.get(result["issue_severity"], Severity.LOW)
    return Observation(
        rule=f"bandit:{result['test_id']}",
        message=f"{result['issue_text'].rstrip('.')}.",
        severity=severity if role_of(path) is Role.PRODUCT else milder(severity),
        concern=Concern.SECURITY,
        place=Place(path, result["line_number"], max(result["col_offset"], 0) + 1),
        analyser="bandit",
        same_as=_SAME.get(result["test_id"], ()),
        url=result["more_info"],
    )


ANALYSER = Bandit()
