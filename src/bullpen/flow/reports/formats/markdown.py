"""A report in GitHub-flavoured Markdown: to keep beside the code, and in a short form for a pull request."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bullpen import __version__
from bullpen.flow.reports import story
from bullpen.flow.reports.base import RunReport
from bullpen.flow.reports.changes import LandedChange, gate_words, landed_changes
from bullpen.flow.reports.diff_view import DiffView, LineKind
from bullpen.flow.reports.plain import one_line, shorten, shown, web_address
from bullpen.flow.reports.timeline import timeline

MOST_OF_A_GROUP = 60
MOST_NAMES = 100
SHORT = 60_000  # characters; forges refuse a pull request's text above 65,536
_TICKS = re.compile(r"`+")
_CODE = re.compile(r"`([^`]+)`")
_MARKUP = re.compile(r"([\\`*_\[\]<>|~$&])")
_BAR = re.compile(r"(?<!\\)\|")
_AT_START = re.compile(r"^(\d+)?([-+=#.):])")
_NAMES_SOMETHING = re.compile(r"@(?=\w)|#(?=\d)|\bGH(?=-\d)", re.IGNORECASE)
_LEADS_AWAY = re.compile(r"(?<=www)\.|:(?=//)|(?<=mailto):|(?<=xmpp):", re.IGNORECASE)
_REASON_TOLD = (
    story.Outcome.FAILED,
    story.Outcome.DECLINED,
    story.Outcome.REFUSED_BEFORE,
    story.Outcome.TURNED_DOWN,
    story.Outcome.ILL_DEFINED,
    story.Outcome.UNFINISHED,
    story.Outcome.UNDECIDED,
    story.Outcome.OUTVOTED,
)
_MARKS = {
    LineKind.ADDED: "+",
    LineKind.REMOVED: "-",
    LineKind.SAME: " ",
    LineKind.HUNK: "",
    LineKind.NOTE: "\\ ",
}


@dataclass(frozen=True, slots=True)
class Markdown:
    """See ``ReportFormat``."""

    name: str = "markdown"
    file_name: str = "report.md"

    def render(self, report: RunReport) -> bytes:
        """See ``ReportFormat.render``."""
        return _join(_full(report, landed_changes(report), diffs=True)).encode("utf-8", "replace")


FORMAT = Markdown()


def short_markdown(report: RunReport, most: int = SHORT) -> str:
    """The same facts for a pull request, in at most ``most`` characters: whole parts are left out first, and it says so."""
    landed = landed_changes(report, 60)
    for diffs in (True, False):
        text = _join(_full(report, landed, diffs=diffs))
        if len(text) <= most:
            return text
    note = "_The whole report is in the session's folder: this is its beginning._\n"
    kept: list[str] = []
    left = most - len(note) - 2
    for block in _full(report, landed, diffs=False):
        if len(block) + 2 > left:
            break
        kept.append(block)
        left -= len(block) + 2
    return _join([*kept, note.strip()])


def prose(text: str) -> str:
    """Hostile text as text: no markup, no HTML, no link, nobody mentioned, no issue named; `code` stays code."""
    parts = _CODE.split(one_line(text))
    return "".join(code(part) if at % 2 else _escaped(part, first=at == 0) for at, part in enumerate(parts))


def _escaped(text: str, *, first: bool) -> str:
    escaped = _MARKUP.sub(r"\\\1", text)
    if first:
        escaped = _AT_START.sub(r"\1\\\2", escaped)
    return _NAMES_SOMETHING.sub(r"\g<0><!-- -->", _LEADS_AWAY.sub(r"\\\g<0>", escaped))


def code(text: str) -> str:
    """A code span that nothing in the text can leave; one line."""
    inner = one_line(text) or " "
    ticks = "`" * (max((len(run) for run in _TICKS.findall(inner)), default=0) + 1)
    pad = " " if inner.startswith("`") or inner.endswith("`") else ""
    return f"{ticks}{pad}{inner}{pad}{ticks}"


def fenced(text: str, language: str = "") -> str:
    """A code block that nothing in the text can leave."""
    inner = shown(text)
    fence = "`" * max(3, max((len(run) for run in _TICKS.findall(inner)), default=0) + 1)
    return f"{fence}{language}\n{inner}\n{fence}"


def _join(blocks: Iterable[str]) -> str:
    return "\n\n".join(blocks) + "\n"


def _full(report: RunReport, landed: Sequence[LandedChange], *, diffs: bool) -> Iterator[str]:
    headline = story.headline(report)
    yield f"# {prose(headline.sentence)}"
    at = code(report.base[:12] or "no commit")
    yield f"{prose(report.name)} at {at}, session {code(report.session.id)}. {prose(headline.detail)}"
    yield from _take(report, landed)
    yield from _numbers(report)
    yield from _commits(landed, diffs=diffs)
    yield from _undone(report)
    yield from _voices(report)
    yield from _disagreements(report)
    yield from _left(report)
    yield from _run(report)
    yield f"Written by Bullpen {__version__}."


def _take(report: RunReport, landed: Sequence[LandedChange]) -> Iterator[str]:
    if not report.branch:
        return
    yield "## Take the branch"
    yield f"The work is on {code(report.branch)}, one commit for each item; your checkout was not touched."
    verify = [f"bullpen verify {landed[0].commit[:12]}"] if landed else []
    yield fenced("\n".join([*story.take_commands(report), *verify]), "console")


def _numbers(report: RunReport) -> Iterator[str]:
    yield "## Before and after"
    before, after = story.tally(report.tests_before), story.tally(report.tests_after)
    shares = story.coverage_shares(report)
    seconds = timeline(report).seconds
    yield _table(
        ("", "Before", "After"),
        [
            ("Findings", f"{len(report.before):,}", f"{len(report.after):,}"),
            *(
                (f"Findings, {one.name}", f"{one.before:,}", f"{one.after:,}")
                for one in story.findings_by_severity(report)
            ),
            (
                "Tests that pass",
                f"{before.passed:,} of {before.total:,}",
                f"{after.passed:,} of {after.total:,}",
            ),
            ("Tests that fail", f"{before.failed + before.errors:,}", f"{after.failed + after.errors:,}"),
            ("Lines covered", _share(shares[0]), _share(shares[1])),
        ],
    )
    if report.tests_after.notes:
        notes = report.tests_after.notes
        yield _list((prose(shorten(one, 400)) for one in notes), len(notes), MOST_NAMES)
    if not report.looked_again:
        yield "There was no second look, so both columns are the same."
    yield _table(
        ("Concern", "Before", "After"),
        [(one.name, f"{one.before:,}", f"{one.after:,}") for one in story.findings_by_concern(report)],
    )
    yield f"It took {seconds:,.1f} s and cost {prose(str(report.cost))} for models."
    for title, names in (
        ("Tests that no longer pass", story.regressions(report)),
        ("Tests that pass now and did not before", story.mended_tests(report)),
    ):
        if names:
            yield f"**{title} ({len(names)})**"
            yield _list((code(shorten(name, 300)) for name in names), len(names), MOST_NAMES)
    if changed := story.coverage_changes(report):
        rows = [(code(one.path), _share(one.before), _share(one.after)) for one in changed[:20]]
        yield _table(("Coverage that changed", "Before", "After"), rows)


def _commits(landed: Sequence[LandedChange], *, diffs: bool) -> Iterator[str]:
    if landed:
        yield "## Commits"
    for change in landed:
        draft = change.item.draft
        yield f"### {change.number}. {prose(shorten(draft.title, 240))}"
        rule = f"[{prose(draft.rule)}](<{change.url}>)" if change.url else prose(draft.rule)
        recipe = f", recipe {prose(draft.recipe)}" if draft.recipe else ""
        counts = f"+{change.diff.added} −{change.diff.removed}"
        yield f"{code(change.commit[:12])} · {rule}{recipe} · {draft.severity.name.lower()} · {counts}"
        yield prose(shorten(draft.why, 1200))
        yield "\n".join(_proof(change))
        if diffs and change.diff.files:
            yield f"<details><summary>Diff</summary>\n\n{fenced(_diff(change.diff), 'diff')}\n\n</details>"


def _proof(change: LandedChange) -> Iterator[str]:
    evidence = change.evidence
    if evidence is None:
        yield "No evidence was kept for this commit."
        return
    passed = sum(gate.passed for gate in change.gates)
    gone, asked = len(evidence.findings_gone), len(change.item.draft.fingerprints)
    yield f"- {gone} of {story.plural(asked, 'finding')} gone, {len(evidence.findings_new)} as bad or worse new"
    yield f"- {len(evidence.tests_after):,} of {len(evidence.tests_before):,} tests that passed before pass after"
    yield f"- {passed} of {story.plural(len(change.gates), 'gate')} passed: run again with {code('bullpen verify ' + change.commit[:12])}"
    for gate in change.gates:
        if not gate.passed:
            yield f"- failed: {prose(gate_words(gate))} ({prose(shorten(gate.evidence, 300))})"
    for command in evidence.commands:
        yield f"- {code(shorten(' '.join(command.argv), 400))}: {prose(command.ended)}, {command.seconds:g} s"


def _diff(view: DiffView) -> str:
    lines: list[str] = []
    for file in view.files:
        if file.lines:
            lines.append(f"--- {file.path}")
            lines += [f"{_MARKS[line.kind]}{line.text}" for line in file.lines]
    if view.hidden:
        lines.append(f"… {view.hidden} further lines left out")
    return "\n".join(lines)


def _undone(report: RunReport) -> Iterator[str]:
    groups = story.undone_groups(report)
    if groups:
        yield "## Not done, and why"
    for group in groups:
        yield f"**{group.title} ({len(group.stories)})**: {prose(group.way)}"
        if group.command:
            yield fenced(group.command, "console")
        entries = (
            f"{prose(shorten(one.item.draft.title, 240))} ({prose(one.item.draft.rule)})"
            + (f": {prose(shorten(one.item.reason, 300))}" if group.outcome in _REASON_TOLD else "")
            for one in group.stories
        )
        yield _list(entries, len(group.stories), MOST_OF_A_GROUP)


def _voices(report: RunReport) -> Iterator[str]:
    spoken = story.voices(report)
    if spoken:
        yield "## What was said"
    for voice in spoken:
        yield f"**{prose(voice.title)}** ({story.plural(voice.before, 'finding')}, {voice.after} left)"
        yield "\n>\n".join(f"> {prose(shorten(line, 400))}" for line in voice.said)


def _disagreements(report: RunReport) -> Iterator[str]:
    settled = story.disagreements(report)
    if not settled:
        return
    yield "## Where personas disagreed"
    yield "Findings at one place that cannot all be followed. A vote of the personas decides, then evidence, then a person."
    entries = (f"{code(shorten(one.subject, 200))}: {prose(shorten(one.reason, 600))}" for one in settled)
    yield _list(entries, len(settled), MOST_OF_A_GROUP)


def _left(report: RunReport) -> Iterator[str]:
    yield "## Findings left"
    left = story.findings_left(report)
    if not left.shown:
        yield "None."
        return
    yield _table(
        ("Severity", "What", "Where", "Rule"),
        [
            (
                one.severity.name.lower(),
                prose(shorten(one.message, 300)) + (" **new**" if at in left.new else ""),
                code(shorten(str(one.place), 200)),
                f"[{prose(one.rule)}](<{url}>)" if (url := web_address(one.url)) else prose(one.rule),
            )
            for at, one in enumerate(left.shown)
        ],
    )
    if left.rest:
        yield (
            "And "
            + ", ".join(f"{count:,} {name}" for name, count in left.rest)
            + "; all are in `report.sarif`."
        )


def _run(report: RunReport) -> Iterator[str]:
    yield "## The run"
    spans = timeline(report).spans
    if spans:
        rows = [(prose(f"{one.name} {one.note}"), f"{one.seconds:,.1f} s") for one in spans[:40]]
        yield _table(("Part", "Time"), rows)
    if inside := story.time_in_sandbox(report):
        share = f"{inside.sandboxed:,.1f} s of {inside.whole:,.1f} s"
        yield f"The sandbox was at work for {share}, in {story.plural(inside.commands, 'command')}."
    words = [f"tests ran with: {one}" for one in story.environment_words(report)[:1]]
    words += [*story.environment_words(report)[1:], *report.notes, *story.analyser_failures(report)]
    words += [f"{name}: {value}" for name, value in report.limits.items()]
    if words:
        yield _list((prose(shorten(one, 400)) for one in words), len(words), MOST_NAMES)


def _share(share: float | None) -> str:
    return "not measured" if share is None else f"{share:.1%}"


def _list(entries: Iterable[str], count: int, most: int) -> str:
    shown = [f"- {entry}" for entry, _number in zip(entries, range(most), strict=False)]
    return "\n".join([*shown, f"- and {count - most:,} more"] if count > most else shown)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A bar inside a cell is escaped, in code spans too: tables are cut into cells before anything else is read."""
    cells = [[_BAR.sub(r"\|", cell) for cell in line] for line in rows]
    lines = [head, ["---"] * len(head), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
