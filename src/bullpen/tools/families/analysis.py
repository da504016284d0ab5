"""Look for faults, before and after a change."""

from collections import Counter
from dataclasses import dataclass

from bullpen.domain.finding import Finding
from bullpen.tools.base import AnyText, Risk, ToolContext, need, tool
from bullpen.tools.workspace import normal

_MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class FindingShown:
    """A finding as an agent sees it."""

    fingerprint: str
    rule: str
    severity: str
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class FindingsChecked:
    """``ok`` means that every finding asked for is gone and none is new."""

    ok: bool
    summary: str
    gone: tuple[str, ...]
    left: tuple[FindingShown, ...]
    new: tuple[FindingShown, ...]


@dataclass(frozen=True, slots=True)
class Roasted:
    """The worst findings first."""

    count: int
    summary: str
    findings: tuple[FindingShown, ...]


@tool(risk=Risk.EXECUTE)
async def check_findings(
    ctx: ToolContext, paths: list[AnyText], fingerprints: list[str] | None = None
) -> FindingsChecked:
    """Look at files again: are the findings that were to be mended gone, and did the change bring new ones?

    Args:
        paths: The files to look at, relative to the workspace.
        fingerprints: The findings that should be gone.
    """
    found = await _inspect(ctx, paths)
    wanted = set(fingerprints or ())
    known = {one.fingerprint for one in ctx.findings} if ctx.findings is not None else None
    left = [one for one in found if one.fingerprint in wanted]
    new = [one for one in found if known is not None and one.fingerprint not in known | wanted]
    gone = sorted(wanted - {one.fingerprint for one in left})
    summary = f"{len(gone)} of {len(wanted)} findings are gone, {len(new)} are new."
    return FindingsChecked(not left and not new, summary, tuple(gone), _shown(left), _shown(new))


@tool(risk=Risk.EXECUTE)
async def roast_files(ctx: ToolContext, paths: list[AnyText] | None = None, concern: str = "") -> Roasted:
    """Look for faults in files, the worst first.

    Args:
        paths: The files to look at; leave it out for the whole workspace.
        concern: Only faults of this kind: security, performance, architecture, qa, documentation, maintainability,
            operations, dependency or accessibility; empty means all.
    """
    found = [one for one in await _inspect(ctx, paths or []) if not concern or one.concern.value == concern]
    found.sort(key=lambda one: (-one.severity, one.place.path, one.place.line))
    return Roasted(len(found), _summary(found, concern), _shown(found))


async def _inspect(ctx: ToolContext, paths: list[str]) -> list[Finding]:
    analysis = need(ctx.skills.analysis, "analysis")
    return list(await analysis.inspect(ctx.workspace, [normal(path) for path in paths]))


def _shown(findings: list[Finding]) -> tuple[FindingShown, ...]:
    return tuple(
        FindingShown(one.fingerprint, one.rule, one.severity.name.lower(), str(one.place), one.message)
        for one in findings[:_MOST_SHOWN]
    )


def _summary(findings: list[Finding], concern: str) -> str:
    kind = f"{concern} " if concern else ""
    if not findings:
        return f"No {kind}findings."
    by_severity = Counter(one.severity for one in findings)
    parts = [f"{by_severity[level]} {level.name.lower()}" for level in sorted(by_severity, reverse=True)]
    worst = findings[0]
    return f"{len(findings)} {kind}findings ({', '.join(parts)}). Worst: {worst.message} ({worst.place})."


TOOLS = (check_findings, roast_files)
