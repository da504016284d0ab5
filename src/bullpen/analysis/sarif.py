"""SARIF 2.1.0 (OASIS standard, 2020): findings out for other tools, and what other tools found in.

Paths become percent-encoded URIs relative to ``%SRCROOT%``; bytes of a path that are not UTF-8 survive the way out and
back. Columns count Unicode code points.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import quote, unquote_to_bytes, urlsplit

from pydantic import BaseModel, Field, ValidationError

from bullpen.domain.errors import InvalidInput
from bullpen.domain.finding import Concern, Finding, Observation, Place, Severity

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
FINGERPRINT = "bullpen/v1"
TOOL = "Bullpen"
_LARGEST = 64 * 1024 * 1024  # bytes
_MOST_RESULTS = 100_000
_ROOT = "%SRCROOT%"

_LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
_SEVERITIES = {
    "error": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "note": Severity.LOW,
    "none": Severity.INFO,
}
# What forges sort security alerts by, on the scale of CVSS.
_SCORES = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "3.0",
    Severity.INFO: "0.5",
}

BaselineState = Literal["new", "unchanged", "updated", "absent"]


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why a finding is set aside, and whether that stands in the source or is kept outside."""

    kind: Literal["inSource", "external"]
    justification: str = ""


def to_sarif(
    findings: Sequence[Finding],
    version: str,
    *,
    states: Mapping[str, BaselineState] | None = None,
    suppressions: Mapping[str, Suppression] | None = None,
    failures: Collection[str] = (),
) -> bytes:
    """A SARIF log with one run.

    ``states`` and ``suppressions`` go by fingerprint; ``failures`` are sentences about analysers that did not finish.
    """
    rules = list(dict.fromkeys(finding.rule for finding in findings))
    index = {rule: position for position, rule in enumerate(rules)}
    first = {finding.rule: finding for finding in reversed(findings)}
    results = [
        {
            **_result(finding, index[finding.rule]),
            **_state(finding, states or {}),
            **_suppressed(finding, suppressions or {}),
        }
        for finding in findings
    ]
    run = {
        "tool": {
            "driver": {"name": TOOL, "version": version, "rules": [_rule(first[rule]) for rule in rules]}
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "invocations": [_invocation(failures)],
        "results": results,
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1, ensure_ascii=False).encode("utf-8", "replace")


def read_sarif(raw: bytes, root: Path | None = None) -> list[Observation]:
    """What another tool (or Bullpen) found. Results that are suppressed, absent or not failures are left out.

    ``root`` is where the tool saw the tree, if it wrote absolute paths.

    Raises:
        InvalidInput: it is not SARIF 2.1.0, too large, or a result lies outside the tree; the sentence names the place.
    """
    return [_observation(each) for each in _read(raw, root)]


def read_findings(raw: bytes, root: Path | None = None) -> list[Finding]:
    """The same with the fingerprints Bullpen wrote (empty where another tool wrote the log).

    Raises:
        InvalidInput: see ``read_sarif``.
    """
    return [_finding(each) for each in _read(raw, root)]


def _result(finding: Finding, rule_index: int) -> dict[str, object]:
    return {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [_location(finding)],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "properties": {
            "severity": finding.severity.name.lower(),
            "concern": finding.concern.value,
            "witnesses": list(finding.witnesses),
            "sameAs": list(finding.same_as),
            "url": finding.url,
            "fix": finding.fix,
        },
    }


def _location(finding: Finding) -> dict[str, object]:
    place = finding.place
    region: dict[str, object] = {"startLine": place.line, "startColumn": place.column}
    if place.end_line:
        region["endLine"] = place.end_line
    if place.end_column:
        region["endColumn"] = place.end_column
    if finding.snippet:
        region["snippet"] = {"text": finding.snippet}
    uri = quote(place.path.encode("utf-8", "surrogateescape"))
    location: dict[str, object] = {
        "physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": _ROOT}, "region": region}
    }
    if place.symbol:
        location["logicalLocations"] = [{"fullyQualifiedName": place.symbol}]
    return location


def _rule(example: Finding) -> dict[str, object]:
    properties: dict[str, object] = {"tags": [example.concern.value]}
    if example.concern is Concern.SECURITY:
        properties["security-severity"] = _SCORES[example.severity]
    rule: dict[str, object] = {
        "id": example.rule,
        "shortDescription": {"text": f"{example.rule} ({example.concern.value})"},
        "help": {"text": f"See {example.url}." if example.url else example.message},
        "defaultConfiguration": {"level": _LEVELS[example.severity]},
        "properties": properties,
    }
    return {**rule, "helpUri": example.url} if example.url else rule


def _state(finding: Finding, states: Mapping[str, BaselineState]) -> dict[str, object]:
    state = states.get(finding.fingerprint)
    return {"baselineState": state} if state else {}


def _suppressed(finding: Finding, suppressions: Mapping[str, Suppression]) -> dict[str, object]:
    suppression = suppressions.get(finding.fingerprint)
    if suppression is None:
        return {}
    return {"suppressions": [{"kind": suppression.kind, "justification": suppression.justification}]}


def _invocation(failures: Collection[str]) -> dict[str, object]:
    if not failures:
        return {"executionSuccessful": True}
    notes = [{"level": "error", "message": {"text": failure}} for failure in failures]
    return {"executionSuccessful": False, "toolExecutionNotifications": notes}


class _Part(BaseModel):
    """Entries we do not know are left alone: the standard has many."""


class _Message(_Part):
    text: str = ""
    markdown: str = ""
    id: str = ""


class _Artifact(_Part):
    uri: str = ""
    uriBaseId: str = ""  # noqa: N815 - the names of the standard, here and below


class _Snippet(_Part):
    text: str = ""


class _Region(_Part):
    startLine: Annotated[int, Field(ge=1)] = 1  # noqa: N815
    startColumn: Annotated[int, Field(ge=1)] = 1  # noqa: N815
    endLine: Annotated[int, Field(ge=0)] = 0  # noqa: N815
    endColumn: Annotated[int, Field(ge=0)] = 0  # noqa: N815
    snippet: _Snippet = _Snippet()


class _Physical(_Part):
    artifactLocation: _Artifact = _Artifact()  # noqa: N815
    region: _Region = _Region()


class _Logical(_Part):
    fullyQualifiedName: str = ""  # noqa: N815
    name: str = ""


class _Location(_Part):
    physicalLocation: _Physical | None = None  # noqa: N815
    logicalLocations: tuple[_Logical, ...] = ()  # noqa: N815


class _Properties(_Part):
    severity: str = ""
    concern: str = ""
    witnesses: tuple[str, ...] = ()
    sameAs: tuple[str, ...] = ()  # noqa: N815
    url: str = ""
    fix: str = ""
    tags: tuple[str, ...] = ()


class _Configuration(_Part):
    level: Literal["none", "note", "warning", "error"] = "warning"


class _Rule(_Part):
    id: str
    helpUri: str = ""  # noqa: N815
    shortDescription: _Message = _Message()  # noqa: N815
    defaultConfiguration: _Configuration = _Configuration()  # noqa: N815
    properties: _Properties = _Properties()


class _Suppression(_Part):
    status: str = "accepted"


class _Result(_Part):
    ruleId: str = ""  # noqa: N815
    ruleIndex: int = -1  # noqa: N815
    kind: str = "fail"
    level: Literal["", "none", "note", "warning", "error"] = ""
    message: _Message = _Message()
    locations: tuple[_Location, ...] = ()
    partialFingerprints: dict[str, str] = {}  # noqa: N815
    baselineState: str = ""  # noqa: N815
    suppressions: tuple[_Suppression, ...] = ()
    properties: _Properties = _Properties()


class _Driver(_Part):
    name: str
    rules: tuple[_Rule, ...] = ()


class _Tool(_Part):
    driver: _Driver


class _Run(_Part):
    tool: _Tool
    results: tuple[_Result, ...] | None = None


class _Log(_Part):
    version: Literal["2.1.0"]
    runs: tuple[_Run, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """One result with what its run says about it."""

    tool: str
    rule: _Rule
    result: _Result
    place: Place
    snippet: str


def _read(raw: bytes, root: Path | None) -> Iterator[_Read]:
    log = _parse(raw)
    if sum(len(run.results or ()) for run in log.runs) > _MOST_RESULTS:
        raise InvalidInput(f"The SARIF log holds more than {_MOST_RESULTS:,} results.")
    for number, run in enumerate(log.runs):
        for position, result in enumerate(run.results or ()):
            if _counts(result) and result.locations and result.locations[0].physicalLocation:
                yield _placed(run, result, f"runs[{number}].results[{position}]", root)


def _parse(raw: bytes) -> _Log:
    if len(raw) > _LARGEST:
        raise InvalidInput(f"The SARIF log is larger than {_LARGEST // 1024**2} MiB.")
    try:
        return _Log.model_validate(json.loads(raw.decode("utf-8-sig")))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InvalidInput(f"The SARIF log is not JSON: {error}.") from error
    except ValidationError as error:
        problem = error.errors()[0]
        raise InvalidInput(
            f"The SARIF log is wrong at {_pointer(problem['loc'])}: {problem['msg']}."
        ) from error


def _pointer(location: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.lstrip(".") or "its top"


def _counts(result: _Result) -> bool:
    suppressed = any(each.status == "accepted" for each in result.suppressions)
    return result.kind in ("fail", "open", "review") and result.baselineState != "absent" and not suppressed


def _placed(run: _Run, result: _Result, where: str, root: Path | None) -> _Read:
    location = result.locations[0]
    physical = location.physicalLocation or _Physical()
    region = physical.region
    names = [each.fullyQualifiedName or each.name for each in location.logicalLocations]
    place = Place(
        _path(physical.artifactLocation.uri, where, root),
        region.startLine,
        region.startColumn,
        region.endLine,
        region.endColumn,
        names[0] if names else "",
    )
    return _Read(run.tool.driver.name, _rule_of(run, result), result, place, region.snippet.text)


def _rule_of(run: _Run, result: _Result) -> _Rule:
    rules = run.tool.driver.rules
    if 0 <= result.ruleIndex < len(rules):
        return rules[result.ruleIndex]
    named = (rule for rule in rules if rule.id == result.ruleId)
    return next(named, _Rule(id=result.ruleId or "unnamed"))


def _path(uri: str, where: str, root: Path | None) -> str:
    parts = urlsplit(uri)
    path = unquote_to_bytes(parts.path if parts.scheme else uri).decode("utf-8", "surrogateescape")
    if parts.scheme not in ("", "file"):
        raise InvalidInput(f"{where} lies at {uri[:200]!r}, which is not a file.")
    if path.startswith("/") and root is not None and PurePosixPath(path).is_relative_to(root):
        path = str(PurePosixPath(path).relative_to(root))
    if not path or path.startswith("/") or ".." in PurePosixPath(path).parts or "\0" in path:
        raise InvalidInput(
            f"{where} lies at {uri[:200]!r}, which is not in the tree.",
            remedy="Write paths relative to the root of the repository.",
        )
    return path


def _observation(read: _Read) -> Observation:
    finding = _finding(read)
    return Observation(
        rule=finding.rule,
        message=finding.message,
        severity=finding.severity,
        concern=finding.concern,
        place=finding.place,
        analyser=finding.witnesses[0],
        same_as=finding.same_as,
        url=finding.url,
    )


def _finding(read: _Read) -> Finding:
    properties, ours = read.result.properties, read.tool == TOOL
    slug = re.sub(r"[^a-z0-9]+", "-", read.tool.lower()).strip("-") or "unnamed"
    rule = read.rule.id if ours else f"{slug}:{read.rule.id}"
    message = read.result.message
    return Finding(
        fingerprint=read.result.partialFingerprints.get(FINGERPRINT, ""),
        rule=rule,
        message=message.text or message.markdown or read.rule.shortDescription.text or rule,
        severity=_severity(read),
        concern=_concern(read),
        place=read.place,
        witnesses=properties.witnesses if ours and properties.witnesses else (rule.partition(":")[0],),
        same_as=properties.sameAs if ours else (),
        url=properties.url if ours else read.rule.helpUri,
        fix=properties.fix if ours else "",
        snippet=read.snippet,
    )


def _severity(read: _Read) -> Severity:
    named = read.result.properties.severity.upper()
    if named in Severity.__members__:
        return Severity[named]
    return _SEVERITIES[read.result.level or read.rule.defaultConfiguration.level]


def _concern(read: _Read) -> Concern:
    tags = (read.result.properties.concern, *read.result.properties.tags, *read.rule.properties.tags)
    known = {concern.value for concern in Concern}
    return next((Concern(tag.lower()) for tag in tags if tag.lower() in known), Concern.MAINTAINABILITY)
