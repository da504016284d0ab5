"""A report for programs: the whole of it as JSON, in a shape that stays.

The top is an object with ``version`` (grows when the shape changes; fields may be added without), ``session``,
``headline``, ``branch``, ``counts`` (items by outcome: they add up to ``items``), ``findings`` (before, after, gone, new),
``tests`` and ``coverage`` (before, after; shares between 0 and 1, null where not measured), ``items`` (each with its
outcome, its commit and its proof), ``disagreements`` (of personas, and what was decided), ``timeline`` (seconds since the start), ``seconds``, ``cost_micro_usd``, ``notes``
and ``limits``. ``schema()`` gives the JSON Schema (draft 2020-12).

Bytes that were not UTF-8 come out as question marks; what looks like a secret as ``[redacted]``.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from pydantic import TypeAdapter

from bullpen import __version__
from bullpen.domain.finding import Finding
from bullpen.domain.test_report import TestReport
from bullpen.domain.verdict import Evidence
from bullpen.flow.reports import story
from bullpen.flow.reports.base import ItemStory, RunReport
from bullpen.flow.reports.changes import landed_changes
from bullpen.flow.reports.plain import shorten, without_secrets
from bullpen.flow.reports.timeline import timeline

VERSION = 1
MOST_PATCH = 100_000  # characters of one patch


@dataclass(frozen=True, slots=True)
class FindingEntry:
    """One finding."""

    fingerprint: str
    rule: str
    message: str
    severity: str
    concern: str
    path: str
    line: int
    symbol: str
    witnesses: tuple[str, ...]
    url: str


@dataclass(frozen=True, slots=True)
class FindingsEntry:
    """Findings of both looks; ``gone`` and ``new`` are fingerprints."""

    before: tuple[FindingEntry, ...]
    after: tuple[FindingEntry, ...]
    gone: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TestsEntry:
    """One run of the tests."""

    __test__ = False
    runner: str
    command: tuple[str, ...]
    end: str
    passed: int
    failed: int
    errors: int
    skipped: int
    expected_failures: int
    seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TestsPair:
    """Both runs, and the tests that differ, by id."""

    __test__ = False
    before: TestsEntry
    after: TestsEntry
    regressions: tuple[str, ...]
    mended: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CoverageEntry:
    """Line coverage of the project and of the files where it changed."""

    before: float | None
    after: float | None
    changed: tuple[story.CoverageChange, ...]


@dataclass(frozen=True, slots=True)
class GateEntry:
    """One gate."""

    name: str
    passed: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """One command that was run."""

    argv: tuple[str, ...]
    exit_status: int | None
    ended: str
    seconds: float
    output_sha256: str


@dataclass(frozen=True, slots=True)
class ProofEntry:
    """What proves a change."""

    tree_before: str
    tree_after: str
    patch_sha256: str
    findings_gone: tuple[str, ...]
    findings_new: tuple[str, ...]
    tests_before: int
    tests_after: int
    gates: tuple[GateEntry, ...]
    commands: tuple[CommandEntry, ...]
    ruling: str
    judge: str


@dataclass(frozen=True, slots=True)
class StepEntry:
    """One step of an item's history; ``at`` is seconds since 1970."""

    at: float
    by: str
    state: str
    note: str


@dataclass(frozen=True, slots=True)
class DoerEntry:
    """Somebody who had a try at a phase of an item, the sentence they were chosen by, and what came of it."""

    phase: str
    agent: str
    why: str
    ended: str


@dataclass(frozen=True, slots=True)
class ItemEntry:
    """One work item and what became of it."""

    id: str
    outcome: str
    state: str
    title: str
    why: str
    rule: str
    recipe: str
    path: str
    lines: tuple[int, ...]
    severity: str
    concern: str
    priority: float
    reasons: tuple[str, ...]
    reason: str
    commit: str
    patch: str
    patch_cut: bool
    proof: ProofEntry | None
    history: tuple[StepEntry, ...]
    doers: tuple[DoerEntry, ...]


@dataclass(frozen=True, slots=True)
class VoiceEntry:
    """What a persona said."""

    persona: str
    title: str
    before: int
    after: int
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpanEntry:
    """A part of the run, in seconds since its start."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """Which session, on what, when (seconds since 1970)."""

    id: str
    goal: str
    project: str
    name: str
    stage: str
    created_at: float


@dataclass(frozen=True, slots=True)
class BranchEntry:
    """What is handed over; all but ``base`` empty where nothing landed. ``commits`` are in the order of the branch."""

    base: str
    name: str
    commit: str
    where: str
    commits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeadlineEntry:
    """The run in words."""

    sentence: str
    detail: str
    tone: str


@dataclass(frozen=True, slots=True)
class Document:
    """The whole report."""

    version: int
    generator: str
    session: SessionEntry
    headline: HeadlineEntry
    branch: BranchEntry
    looked_again: bool
    counts: Mapping[str, int]
    findings: FindingsEntry
    tests: TestsPair
    coverage: CoverageEntry
    items: tuple[ItemEntry, ...]
    voices: tuple[VoiceEntry, ...]
    disagreements: tuple[story.Disagreement, ...]
    timeline: tuple[SpanEntry, ...]
    seconds: Mapping[str, float]
    cost_micro_usd: int
    notes: tuple[str, ...]
    limits: Mapping[str, str]
    analyser_failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Json:
    """See ``ReportFormat``."""

    name: str = "json"
    file_name: str = "report.json"

    def render(self, report: RunReport) -> bytes:
        """See ``ReportFormat.render``."""
        whole = _without_secrets(asdict(document(report)))
        text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8", "replace") + b"\n"


FORMAT = Json()


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    return TypeAdapter(Document).json_schema()


def _without_secrets(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {name: _without_secrets(each) for name, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, tuple):
        return [_without_secrets(each) for each in cast("tuple[Any, ...]", value)]
    return value


def document(report: RunReport) -> Document:
    """The report as plain values."""
    session, first = report.session, story.headline(report)
    return Document(
        version=VERSION,
        generator=f"Bullpen {__version__}",
        session=SessionEntry(
            session.id, session.goal, session.project, report.name, session.stage.value, session.created_at
        ),
        headline=HeadlineEntry(first.sentence, first.detail, first.tone.value),
        branch=BranchEntry(
            report.base,
            report.branch,
            report.commit,
            report.where,
            tuple(change.commit for change in landed_changes(report, 0)),
        ),
        looked_again=report.looked_again,
        counts={outcome.value: len(items) for outcome, items in story.by_outcome(report).items()},
        findings=FindingsEntry(
            _findings(report.before),
            _findings(report.after),
            tuple(found.fingerprint for found in report.gone),
            tuple(found.fingerprint for found in report.new),
        ),
        tests=TestsPair(
            _tests(report.tests_before),
            _tests(report.tests_after),
            story.regressions(report),
            story.mended_tests(report),
        ),
        coverage=CoverageEntry(*story.coverage_shares(report), story.coverage_changes(report)),
        items=tuple(_item(one) for one in report.stories),
        voices=tuple(
            VoiceEntry(one.name, one.title, one.before, one.after, one.said) for one in story.voices(report)
        ),
        disagreements=story.disagreements(report),
        timeline=tuple(SpanEntry(one.name, one.start, one.end) for one in timeline(report).spans),
        seconds=dict(report.seconds),
        cost_micro_usd=report.cost.micro_usd,
        notes=report.notes,
        limits=dict(report.limits),
        analyser_failures=story.analyser_failures(report),
    )


def _findings(findings: Iterable[Finding]) -> tuple[FindingEntry, ...]:
    return tuple(
        FindingEntry(
            fingerprint=one.fingerprint,
            rule=one.rule,
            message=one.message,
            severity=one.severity.name.lower(),
            concern=one.concern.value,
            path=one.place.path,
            line=one.place.line,
            symbol=one.place.symbol,
            witnesses=one.witnesses,
            url=one.url,
        )
        for one in findings
    )


def _tests(report: TestReport) -> TestsEntry:
    counts = story.tally(report)
    return TestsEntry(
        runner=report.runner,
        command=report.command,
        end=report.end.value,
        passed=counts.passed,
        failed=counts.failed,
        errors=counts.errors,
        skipped=counts.skipped,
        expected_failures=counts.expected_failures,
        seconds=report.seconds,
        notes=report.notes,
    )


def _item(one: ItemStory) -> ItemEntry:
    item, draft = one.item, one.item.draft
    patch = without_secrets(one.patch.decode("utf-8", "replace"))
    return ItemEntry(
        id=item.id,
        outcome=story.outcome_of(item).value,
        state=item.state.value,
        title=draft.title,
        why=draft.why,
        rule=draft.rule,
        recipe=draft.recipe,
        path=draft.path,
        lines=draft.lines,
        severity=draft.severity.name.lower(),
        concern=draft.concern.value,
        priority=item.priority.score,
        reasons=item.priority.reasons,
        reason=item.reason,
        commit=item.change,
        patch=shorten(patch, MOST_PATCH),
        patch_cut=len(patch) > MOST_PATCH,
        proof=_proof(one.evidence) if one.evidence else None,
        history=tuple(StepEntry(step.at, step.by, step.state.value, step.note) for step in item.history),
        doers=tuple(DoerEntry(doer.phase, doer.agent, doer.why, doer.ended) for doer in one.doers),
    )


def _proof(evidence: Evidence) -> ProofEntry:
    verdict = evidence.verdict
    return ProofEntry(
        tree_before=evidence.tree_before,
        tree_after=evidence.tree_after,
        patch_sha256=evidence.patch_sha256,
        findings_gone=evidence.findings_gone,
        findings_new=evidence.findings_new,
        tests_before=len(evidence.tests_before),
        tests_after=len(evidence.tests_after),
        gates=tuple(GateEntry(gate.name, gate.passed, gate.evidence) for gate in verdict.gates)
        if verdict
        else (),
        commands=tuple(
            CommandEntry(one.argv, one.exit_status, one.ended, one.seconds, one.output_sha256)
            for one in evidence.commands
        ),
        ruling=verdict.ruling.value if verdict else "",
        judge=verdict.judge if verdict else "",
    )
