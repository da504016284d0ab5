"""Ruff with our own selection: faults that matter, not matters of taste. Its S rules stand in for most of bandit.

Rules whose fix depends on the oldest Python a project supports are left out, since the project's own configuration is
not read (it could name other files or turn rules off).
"""

import re
from collections.abc import Sequence
from typing import TypedDict, cast

from bullpen.analysis.base import Reach, SourceTree
from bullpen.analysis.tools import batches, names_back, parse_json, program, run_tool, tool_version
from bullpen.analysis.where import Role, milder, role_of
from bullpen.domain.finding import Concern, Observation, Place, Severity
from bullpen.sandbox.base import Sandbox

_TARGET = "py310"  # old enough for forward references to be checked; syntax younger than this is not an error
_YOUNGER_SYNTAX = re.compile(r"on Python 3\.\d+ \(syntax was (added|changed) in")

_ASSERTS = re.compile(r"\s*raise AssertionError\b")

_SEC, _QA, _MAI = Concern.SECURITY, Concern.QA, Concern.MAINTAINABILITY
_PER, _OPS, _DOC = Concern.PERFORMANCE, Concern.OPERATIONS, Concern.DOCUMENTATION
_INFO, _LOW, _MED, _HIGH, _CRIT = Severity

# The longest prefix wins; a prefix that is not here is not selected.
_RULES: dict[str, tuple[Concern, Severity]] = {
    "E4": (_MAI, _INFO),  # imports not at the top, several on a line
    "E711": (_QA, _LOW),
    "E712": (_QA, _LOW),
    "E713": (_MAI, _LOW),
    "E714": (_MAI, _LOW),
    "E721": (_QA, _LOW),
    "E722": (_QA, _MED),
    "E731": (_MAI, _INFO),
    "E741": (_MAI, _INFO),
    "E9": (_QA, _HIGH),
    "F": (_MAI, _LOW),
    "F402": (_QA, _MED),
    "F403": (_MAI, _LOW),
    "F50": (_QA, _HIGH),  # broken format strings
    "F52": (_QA, _HIGH),
    "F541": (_MAI, _INFO),
    "F601": (_QA, _MED),
    "F631": (_QA, _HIGH),  # assert on a tuple is always true
    "F632": (_QA, _MED),
    "F633": (_QA, _HIGH),
    "F634": (_QA, _HIGH),
    "F7": (_QA, _HIGH),
    "F811": (_QA, _MED),
    "F821": (_QA, _HIGH),
    "F822": (_QA, _MED),
    "F823": (_QA, _HIGH),
    "F841": (_MAI, _LOW),
    "F901": (_QA, _HIGH),
    "W605": (_QA, _LOW),
    "B": (_QA, _MED),
    "B007": (_MAI, _INFO),
    "B008": (_QA, _LOW),
    "B009": (_MAI, _INFO),
    "B010": (_MAI, _INFO),
    "B011": (_QA, _LOW),
    "B013": (_MAI, _INFO),
    "B019": (_PER, _MED),
    "B027": (_MAI, _INFO),
    "B028": (_MAI, _INFO),
    "B904": (_QA, _LOW),
    "BLE001": (_QA, _LOW),
    "C4": (_PER, _INFO),
    "C901": (_MAI, _MED),
    "D417": (_DOC, _INFO),
    "DTZ003": (_QA, _MED),
    "DTZ004": (_QA, _MED),
    "DTZ": (_QA, _LOW),
    "ASYNC": (_PER, _MED),
    "ASYNC109": (_MAI, _INFO),
    "FURB110": (_MAI, _INFO),
    "FURB129": (_PER, _INFO),
    "FURB132": (_MAI, _INFO),
    "FURB136": (_MAI, _INFO),
    "FURB161": (_PER, _INFO),
    "FURB163": (_QA, _LOW),
    "FURB168": (_MAI, _INFO),
    "FURB169": (_MAI, _INFO),
    "FURB187": (_PER, _INFO),
    "FURB192": (_PER, _LOW),
    "G010": (_OPS, _LOW),
    "G101": (_OPS, _MED),
    "G201": (_OPS, _INFO),
    "G202": (_OPS, _INFO),
    "LOG": (_OPS, _LOW),
    "PERF": (_PER, _LOW),
    "PERF203": (_PER, _INFO),
    "PIE790": (_MAI, _INFO),
    "PIE794": (_QA, _MED),
    "PIE796": (_QA, _MED),
    "PIE800": (_MAI, _INFO),
    "PIE804": (_MAI, _INFO),
    "PIE807": (_MAI, _INFO),
    "PIE808": (_MAI, _INFO),
    "PIE810": (_PER, _INFO),
    "PLC0206": (_PER, _INFO),
    "PLC0208": (_PER, _INFO),
    "PLE": (_QA, _HIGH),
    "PLE0604": (_QA, _MED),
    "PLE0605": (_QA, _MED),
    "PLR0124": (_QA, _MED),
    "PLR0133": (_QA, _LOW),
    "PLR1704": (_QA, _LOW),
    "PLR1711": (_MAI, _INFO),
    "PLR1722": (_QA, _LOW),
    "PLW": (_QA, _LOW),
    "PLW0120": (_MAI, _INFO),
    "PLW0128": (_QA, _MED),
    "PLW0129": (_QA, _MED),
    "PLW0177": (_QA, _MED),
    "PLW0603": (_MAI, _LOW),
    "PLW1501": (_QA, _HIGH),
    "PLW1509": (_SEC, _MED),
    "PLW1510": (_QA, _LOW),
    "PT009": (_MAI, _INFO),
    "PT010": (_QA, _MED),
    "PT011": (_QA, _LOW),
    "PT012": (_QA, _LOW),
    "PT014": (_QA, _LOW),
    "PT015": (_QA, _MED),
    "PT017": (_QA, _LOW),
    "PT020": (_MAI, _LOW),
    "PT025": (_QA, _LOW),
    "PT031": (_QA, _LOW),
    "RET501": (_MAI, _INFO),
    "RET502": (_QA, _LOW),
    "RET503": (_QA, _LOW),
    "RET504": (_MAI, _INFO),
    "RSE102": (_MAI, _INFO),
    "RUF006": (_QA, _MED),
    "RUF008": (_QA, _HIGH),
    "RUF009": (_QA, _LOW),
    "RUF013": (_MAI, _LOW),
    "RUF015": (_PER, _LOW),
    "RUF016": (_QA, _HIGH),
    "RUF017": (_PER, _MED),
    "RUF018": (_QA, _MED),
    "RUF019": (_PER, _INFO),
    "RUF024": (_QA, _MED),
    "RUF026": (_QA, _MED),
    "RUF030": (_QA, _MED),
    "RUF032": (_QA, _MED),
    "RUF033": (_QA, _MED),
    "RUF034": (_QA, _MED),
    "RUF040": (_QA, _LOW),
    "RUF043": (_QA, _INFO),
    "RUF046": (_MAI, _INFO),
    "RUF057": (_MAI, _INFO),
    "RUF059": (_MAI, _INFO),
    "RUF060": (_QA, _MED),
    "S1": (_SEC, _MED),
    "S101": (_QA, _INFO),
    "S102": (_SEC, _HIGH),
    "S105": (_SEC, _MED),
    "S106": (_SEC, _MED),
    "S107": (_SEC, _MED),
    "S110": (_QA, _MED),
    "S112": (_QA, _LOW),
    "S113": (_OPS, _MED),
    "S2": (_SEC, _HIGH),
    "S3": (_SEC, _MED),
    "S301": (_SEC, _HIGH),
    "S306": (_SEC, _HIGH),
    "S307": (_SEC, _HIGH),
    "S310": (_SEC, _LOW),
    "S311": (_SEC, _LOW),
    "S324": (_SEC, _MED),
    "S5": (_SEC, _HIGH),
    "S501": (_SEC, _CRIT),
    "S6": (_SEC, _MED),
    "S602": (_SEC, _HIGH),
    "S604": (_SEC, _MED),
    "S605": (_SEC, _HIGH),
    "S606": (_SEC, _INFO),
    "S608": (_SEC, _HIGH),
    "S611": (_SEC, _MED),
    "S612": (_SEC, _HIGH),
    "S7": (_SEC, _HIGH),
    "SIM101": (_MAI, _INFO),
    "SIM103": (_MAI, _INFO),
    "SIM105": (_MAI, _INFO),
    "SIM107": (_QA, _MED),
    "SIM110": (_MAI, _INFO),
    "SIM113": (_MAI, _INFO),
    "SIM115": (_QA, _MED),
    "SIM118": (_PER, _INFO),
    "SIM201": (_MAI, _INFO),
    "SIM202": (_MAI, _INFO),
    "SIM208": (_MAI, _INFO),
    "SIM210": (_MAI, _INFO),
    "SIM211": (_MAI, _INFO),
    "SIM212": (_MAI, _INFO),
    "SIM220": (_QA, _MED),
    "SIM221": (_QA, _MED),
    "SIM222": (_QA, _MED),
    "SIM223": (_QA, _MED),
    "SIM401": (_MAI, _INFO),
    "SIM910": (_MAI, _INFO),
    "SIM911": (_MAI, _INFO),
    "T100": (_OPS, _MED),
    "TRY002": (_QA, _LOW),
    "TRY004": (_QA, _INFO),
    "TRY201": (_MAI, _INFO),
    "TRY203": (_MAI, _INFO),
    "TRY400": (_OPS, _INFO),
    "TRY401": (_OPS, _INFO),
    "UP003": (_MAI, _INFO),
    "UP004": (_MAI, _INFO),
    "UP005": (_MAI, _LOW),
    "UP008": (_MAI, _INFO),
    "UP009": (_MAI, _INFO),
    "UP010": (_MAI, _INFO),
    "UP012": (_MAI, _INFO),
    "UP015": (_MAI, _INFO),
    "UP018": (_MAI, _INFO),
    "UP021": (_MAI, _INFO),
    "UP022": (_MAI, _INFO),
    "UP023": (_MAI, _LOW),
    "UP024": (_MAI, _INFO),
    "UP025": (_MAI, _INFO),
    "UP026": (_MAI, _LOW),
    "UP028": (_MAI, _INFO),
    "UP030": (_MAI, _INFO),
    "UP031": (_MAI, _INFO),
    "UP032": (_MAI, _INFO),
    "UP034": (_MAI, _INFO),
    "UP039": (_MAI, _INFO),
    "YTT": (_QA, _MED),
}
_LEFT_OUT = (
    "B905",  # the fix needs Python 3.10
    "B911",  # the fix needs Python 3.13
    "C408",  # dict(a=1) is a matter of taste
    "S320",  # no such fault any more
    "S603",  # flags every subprocess call
    "S607",
    "PLW1514",
    "PLW1641",
    "PLW2901",
    "PLW3301",
    "LOG015",
    "F405",  # follows from F403
)
_IGNORED_IN_TESTS = (
    "S",
    "BLE",
    "PLW0603",
    "ASYNC",
    "PERF",
    "SIM115",
    "TRY",
    "C901",
    "B018",
    "DTZ",
    "PLR0124",
)
_MAX_COMPLEXITY = 15


class _Spot(TypedDict):
    row: int
    column: int


class _Fix(TypedDict):
    applicability: str


class _Diagnostic(TypedDict):
    code: str | None
    message: str
    filename: str
    location: _Spot
    end_location: _Spot
    url: str | None
    fix: _Fix | None


class Ruff:
    """Python faults by ruff; ``# noqa`` is honoured."""

    name = "ruff"
    reach = Reach.FILE

    def version(self) -> str:
        """Of ruff and of this selection."""
        return tool_version("ruff", __file__)

    def wants(self, path: str) -> bool:
        """Python sources and stubs."""
        return path.endswith((".py", ".pyi"))

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """See ``Analyser.analyse``."""
        names = names_back(paths)
        found: list[Observation] = []
        for batch in batches(paths):
            outcome = await run_tool(sandbox, tree, [program("ruff"), *_OPTIONS, "--", *batch])
            diagnostics = cast("list[_Diagnostic]", parse_json(outcome) or [])
            found += [seen for each in diagnostics if (seen := _observe(each, names))]
        return [seen for seen in found if not _is_assertion(tree, seen)]


def _is_assertion(tree: SourceTree, seen: Observation) -> bool:
    """Whether TRY004 takes an assertion for a check of what a caller gave: an AssertionError says the code is wrong."""
    if seen.rule != "ruff:TRY004":
        return False
    lines = tree.text(seen.place.path).splitlines()[seen.place.line - 1 : seen.place.line]
    return any(_ASSERTS.match(line) for line in lines)


_OPTIONS = (
    "check",
    "--isolated",
    "--no-cache",
    "--quiet",
    "--output-format=json",
    f"--target-version={_TARGET}",
    f"--select={','.join(_RULES)}",
    f"--ignore={','.join(_LEFT_OUT)}",
    f"--config=lint.mccabe.max-complexity={_MAX_COMPLEXITY}",
)


def _observe(diagnostic: _Diagnostic, names: dict[str, str]) -> Observation | None:
    code = diagnostic["code"] or "invalid-syntax"
    path = names.get(diagnostic["filename"])
    if path is None or _YOUNGER_SYNTAX.search(diagnostic["message"]):
        return None
    concern, severity = _weigh(code)
    role = role_of(path)
    if role is Role.TEST and code.startswith(_IGNORED_IN_TESTS):
        return None
    start, end = diagnostic["location"], diagnostic["end_location"]
    return Observation(
        rule=f"ruff:{code}",
        message=_sentence(diagnostic["message"]),
        severity=severity if role is Role.PRODUCT else milder(severity),
        concern=concern,
        place=Place(path, start["row"], start["column"], end["row"], end["column"]),
        analyser="ruff",
        same_as=_equivalents(code),
        url=diagnostic["url"] or "",
        fix=_offered(diagnostic["fix"]),
    )


def _offered(fix: _Fix | None) -> str:
    """The applicability of its fix; one that is only for display is none."""
    return fix["applicability"] if fix and fix["applicability"] != "display" else ""


def _weigh(code: str) -> tuple[Concern, Severity]:
    if code == "invalid-syntax":
        return Concern.QA, Severity.HIGH
    for length in range(len(code), 0, -1):
        if code[:length] in _RULES:
            return _RULES[code[:length]]
    return Concern.MAINTAINABILITY, Severity.INFO


def _equivalents(code: str) -> tuple[str, ...]:
    if re.fullmatch(r"S\d{3}", code):
        return (f"bandit:B{code[1:]}",)
    return ("lizard:CCN",) if code == "C901" else ()


def _sentence(message: str) -> str:
    return message if message.endswith((".", "!", "?")) else f"{message}."


ANALYSER = Ruff()
