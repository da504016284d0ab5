"""A run as values to show: counts, groups and series. Pure functions; every format and the terminal use the same ones."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from shlex import quote

from bullpen.analysis.persona_cards import speak
from bullpen.domain.events.improve import EnvironmentPrepared, RoastFinished, TimeSpent
from bullpen.domain.events.session import StageReached
from bullpen.domain.events.team import ConflictResolved
from bullpen.domain.finding import Concern, Finding, Severity
from bullpen.domain.session import Stage
from bullpen.domain.test_report import SuiteEnd, TestOutcome, TestReport
from bullpen.domain.work_item import ItemState, WorkItem
from bullpen.flow.consensus.conflicts import ConflictKind
from bullpen.flow.items import outcome
from bullpen.flow.items.outcome import Outcome
from bullpen.flow.reports.base import ItemStory, RunReport

MOST_LEFT = 40  # findings listed one by one
MOST_SAID = 3  # sentences of one persona


UNDONE = tuple(one for one in Outcome if one is not Outcome.LANDED)
SEVERITIES = tuple(sorted(Severity, reverse=True))


def outcome_of(item: WorkItem) -> Outcome:
    """What became of an item, as its records tell."""
    first = item.history[0].state if item.history else item.state
    worked = any(step.state is ItemState.IN_PROGRESS for step in item.history)
    return outcome.outcome_of(
        item.state, first=first, worked=worked, recipe=item.draft.recipe, reason=item.reason
    )


def by_outcome(report: RunReport) -> Mapping[Outcome, tuple[ItemStory, ...]]:
    """All items by what became of them, in their order; an outcome that nothing has is there with none."""
    groups: dict[Outcome, list[ItemStory]] = {one: [] for one in Outcome}
    for story in report.stories:
        groups[outcome_of(story.item)].append(story)
    return {one: tuple(stories) for one, stories in groups.items()}


@dataclass(frozen=True, slots=True)
class Change:
    """One row of a comparison: a name, and a number before and after."""

    name: str
    before: int
    after: int

    @property
    def delta(self) -> int:
        """How many more there are after; negative means fewer."""
        return self.after - self.before


def findings_by_severity(report: RunReport) -> tuple[Change, ...]:
    """Worst first, every severity."""
    before, after = (Counter(one.severity for one in found) for found in (report.before, report.after))
    return tuple(Change(one.name.lower(), before[one], after[one]) for one in SEVERITIES)


def findings_by_concern(report: RunReport) -> tuple[Change, ...]:
    """Most first; concerns nobody saw a fault of are left out."""
    before, after = (Counter(one.concern for one in found) for found in (report.before, report.after))
    seen = [one for one in Concern if before[one] or after[one]]
    return tuple(
        Change("QA" if one is Concern.QA else one.value, before[one], after[one])
        for one in sorted(seen, key=lambda one: (-before[one], -after[one], one.value))
    )


@dataclass(frozen=True, slots=True)
class TestsTally:
    """How many tests ended how. The five add up to ``total``."""

    __test__ = False
    passed: int
    failed: int
    errors: int
    skipped: int
    expected_failures: int
    seconds: float
    end: SuiteEnd

    @property
    def total(self) -> int:
        """All tests."""
        return self.passed + self.failed + self.errors + self.skipped + self.expected_failures


def tally(report: TestReport) -> TestsTally:
    """Counts of one run of the tests."""
    counts = Counter(result.outcome for result in report.results)
    return TestsTally(
        passed=counts[TestOutcome.PASSED],
        failed=counts[TestOutcome.FAILED],
        errors=counts[TestOutcome.ERROR],
        skipped=counts[TestOutcome.SKIPPED],
        expected_failures=counts[TestOutcome.EXPECTED_FAILURE],
        seconds=report.seconds,
        end=report.end,
    )


def regressions(report: RunReport) -> tuple[str, ...]:
    """Tests that passed before and do not pass after, by id."""
    return tuple(sorted(report.tests_before.passed() - report.tests_after.passed()))


def mended_tests(report: RunReport) -> tuple[str, ...]:
    """Tests that failed before and pass after, by id."""
    return tuple(sorted(report.tests_before.failed() & report.tests_after.passed()))


@dataclass(frozen=True, slots=True)
class CoverageChange:
    """Coverage of one file, between 0 and 1, None where the file was not measured. Lines are those that can run."""

    path: str
    before: float | None
    after: float | None
    lines_before: int
    lines_after: int


def coverage_shares(report: RunReport) -> tuple[float | None, float | None]:
    """Line coverage of the whole project before and after, between 0 and 1; None where it was not measured."""
    before, after = report.tests_before.coverage, report.tests_after.coverage
    return before.share if before else None, after.share if after else None


def coverage_changes(report: RunReport) -> tuple[CoverageChange, ...]:
    """The files whose coverage is not what it was, the largest change first."""
    before = report.tests_before.coverage
    after = report.tests_after.coverage
    if before is None or after is None:
        return ()
    old, new = before.files, after.files
    changed = [
        CoverageChange(
            path,
            old[path].share if path in old else None,
            new[path].share if path in new else None,
            len(old[path].executed) + len(old[path].missing) if path in old else 0,
            len(new[path].executed) + len(new[path].missing) if path in new else 0,
        )
        for path in old.keys() | new.keys()
        if path not in old or path not in new or old[path].share != new[path].share
    ]
    return tuple(sorted(changed, key=lambda one: (-abs((one.after or 0) - (one.before or 0)), one.path)))


class Tone(StrEnum):
    """How a run should be looked at."""

    GOOD = "good"
    QUIET = "quiet"  # nothing was changed, and nothing went wrong
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Headline:
    """What a person should know first."""

    sentence: str
    detail: str
    tone: Tone


def headline(report: RunReport) -> Headline:
    """The run in one sentence, and the numbers behind it in another."""
    groups = by_outcome(report)
    landed = len(groups[Outcome.LANDED])
    if report.session.stage in (Stage.FAILED, Stage.CANCELLED):
        sentence = f"The session {_ENDED[report.session.stage]}; {plural(landed, 'commit')} had landed."
        return Headline(sentence, f"{ended_because(report)} {_detail(report)}".strip(), Tone.BAD)
    if not report.stories:
        return Headline(_nothing_found(report), _detail(report), Tone.QUIET)
    if not landed:
        return Headline(_nothing_landed(report, len(groups[Outcome.FAILED])), _detail(report), Tone.QUIET)
    sentence = f"{_landed_in_words(report, groups[Outcome.LANDED])}; {_regressions_in_words(report)}."
    return Headline(sentence, _detail(report), Tone.BAD if regressions(report) else Tone.GOOD)


def ended_because(report: RunReport) -> str:
    """Why the session ended where it did, in the words of the error; empty where it came to its ordinary end."""
    reached = [one.event for one in report.events if isinstance(one.event, StageReached)]
    return reached[-1].reason if reached and Stage(reached[-1].stage) in _ENDED else ""


_ENDED = {Stage.FAILED: "failed", Stage.CANCELLED: "was cancelled"}


def _nothing_found(report: RunReport) -> str:
    if not report.before:
        return "Nothing to improve was found."
    return f"{plural(len(report.before), 'finding')}, none of which makes an item to work on."


def _nothing_landed(report: RunReport, tried: int) -> str:
    why = f"none of {plural(tried, 'attempt')} could be proved" if tried else "nothing was worked on"
    return f"{plural(len(report.stories), 'item')} found, none landed: {why}."


def _landed_in_words(report: RunReport, landed: Sequence[ItemStory]) -> str:
    """Items a recipe did, of those one could do; and items a model did by itself.

    Left out are items there was nothing to do for: their recipe declined, an earlier change had mended them, a person
    turned them down, or other personas outvoted them; and those that wait for a person, which the detail counts.
    """
    by_recipe = sum(bool(story.item.draft.recipe) for story in landed)
    by_model = len(landed) - by_recipe
    left = (Outcome.DECLINED, Outcome.NOT_NEEDED, Outcome.TURNED_DOWN, Outcome.OUTVOTED)
    out = (*left, Outcome.NEEDS_APPROVAL, Outcome.UNDECIDED)
    known = sum(
        bool(story.item.draft.recipe) and outcome_of(story.item) not in out for story in report.stories
    )
    if not by_recipe:
        return f"{plural(by_model, 'item')} landed as {'a commit' if by_model == 1 else 'commits'}"
    noun = "item with a recipe" if known == 1 else "items with a recipe"
    form = "a commit" if len(landed) == 1 else "commits"
    more = f" and {by_model} without one" if by_model else ""
    return f"{by_recipe} of {known} {noun}{more} landed as {form}"


def _regressions_in_words(report: RunReport) -> str:
    if not report.looked_again:
        return "the branch was not looked at again"
    if not report.tests_before.passed():
        return "no tests to tell of regressions"
    return plural(len(regressions(report)), "regression")


def _detail(report: RunReport) -> str:
    if not report.looked_again:
        parts = [plural(len(report.before), "finding"), "there was no second look"]
    else:
        became = f"{len(report.gone)} gone, {len(report.new)} new"
        parts = [f"Findings went from {len(report.before):,} to {len(report.after):,} ({became})"]
    parts.append(_tests_in_words(report))
    if waiting := len(by_outcome(report)[Outcome.NEEDS_APPROVAL]):
        parts.append(f"{plural(waiting, 'item')} {'waits' if waiting == 1 else 'wait'} for your yes")
    return "; ".join(parts) + "."


def _tests_in_words(report: RunReport) -> str:
    before, after = tally(report.tests_before), tally(report.tests_after)
    if not before.total and not after.total:
        return _ENDS.get(before.end, "no tests were run")
    if not report.looked_again:
        return f"{before.passed} of {plural(before.total, 'test')} pass"
    return (
        f"{after.passed} of {plural(after.total, 'test')} pass, {before.passed} of {before.total} did before"
    )


_ENDS = {
    SuiteEnd.TIMEOUT: "the tests did not come to an end in the time they had",
    SuiteEnd.KILLED: "the tests were killed",
}


def plural(count: int, noun: str) -> str:
    """``1 commit``, ``2 commits``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class UndoneGroup:
    """Items that did not land for the same reason. ``way`` says what would make them possible."""

    outcome: Outcome
    title: str
    way: str
    command: str
    stories: tuple[ItemStory, ...]


_UNDONE_WORDS: Mapping[Outcome, tuple[str, str]] = {
    Outcome.FAILED: (
        "Tried, and not proved",
        "No recipe fitted these places, or no change passed all gates. A person or a language model may find a way.",
    ),
    Outcome.NEEDS_APPROVAL: (
        "Waiting for your yes",
        "A recipe knows how, but the change may alter behaviour. Approve the rules you agree with; the session then goes on.",
    ),
    Outcome.UNDECIDED: (
        "Your word decides",
        "Personas want different things at one place, and neither a vote nor evidence decides. `bullpen approvals` has the questions; `bullpen approve ID` and `bullpen deny ID` choose a side.",
    ),
    Outcome.OUTVOTED: (
        "Outvoted by other personas",
        "Another finding at the same place wants the opposite and was followed. If you see it otherwise, name the rule with --only.",
    ),
    Outcome.NO_RECIPE: (
        "No recipe knows how",
        "A person or a language model can take these on; so can a recipe of your own.",
    ),
    Outcome.DECLINED: (
        "The recipe declined",
        "A recipe for the rule looked at these places and its conditions are not met. A person or a language model can take them on.",
    ),
    Outcome.REFUSED_BEFORE: (
        "Refused in an earlier session",
        "The same change to the same code was refused before. Name the rule with --only to have it tried again.",
    ),
    Outcome.BEYOND_LIMIT: (
        "Beyond the number asked for",
        "They are ready to be worked on. Run again with a larger --max.",
    ),
    Outcome.NOT_NEEDED: (
        "Mended on the way",
        "An earlier change of this run mended them; nothing is left to do.",
    ),
    Outcome.TURNED_DOWN: ("Turned down", "Somebody said no to them, or cancelled their task."),
    Outcome.ILL_DEFINED: ("Not defined well enough", "The finding does not say enough to act on it safely."),
    Outcome.NOT_STARTED: ("Not started", "This was a dry run, or it ended early. Run again to work on them."),
    Outcome.UNFINISHED: (
        "Broken off",
        "The session ended while they were worked on. Take it up with --resume.",
    ),
}


def undone_groups(report: RunReport) -> tuple[UndoneGroup, ...]:
    """Items that did not land, by why; groups with no items are left out."""
    groups = by_outcome(report)
    return tuple(
        UndoneGroup(one, *_UNDONE_WORDS[one], _way_command(report, one, groups[one]), groups[one])
        for one in UNDONE
        if groups[one]
    )


def _way_command(report: RunReport, outcome: Outcome, stories: Sequence[ItemStory]) -> str:
    start = f"bullpen improve {quote(report.session.project)}"
    match outcome:
        case Outcome.NEEDS_APPROVAL:
            rules = sorted({story.item.draft.rule for story in stories})
            again = [f"--resume --session {report.session.id}"] if report.commit else []
            return " ".join([start, *again, *(f"--approve {quote(rule)}" for rule in rules)])
        case Outcome.BEYOND_LIMIT:
            return f"{start} --max {_startable(report)}"
        case Outcome.UNFINISHED:
            return f"{start} --resume"
        case _:
            return ""


def _startable(report: RunReport) -> int:
    """How many items could be worked on without anybody's yes."""
    kept = (
        Outcome.DECLINED,
        Outcome.NEEDS_APPROVAL,
        Outcome.ILL_DEFINED,
        Outcome.TURNED_DOWN,
        Outcome.REFUSED_BEFORE,
        Outcome.UNDECIDED,
        Outcome.OUTVOTED,
    )
    return sum(
        bool(story.item.draft.recipe) and outcome_of(story.item) not in kept for story in report.stories
    )


@dataclass(frozen=True, slots=True)
class VoiceView:
    """One persona: what it counted before and after, and what it said of the worst, each rule once."""

    name: str
    title: str
    before: int
    after: int
    said: tuple[str, ...]


def voices(report: RunReport) -> tuple[VoiceView, ...]:
    """Every persona that found something; those with the worst findings first."""
    before, after = _by_concern(report.before), _by_concern(report.after)
    spoken = [
        (
            max(one.severity for one in mine),
            VoiceView(
                persona.name,
                persona.title,
                len(mine),
                len(after[persona.concern]),
                tuple(speak(persona, one) for one in worst_of_each_rule(mine, MOST_SAID)),
            ),
        )
        for persona in report.personas
        if (mine := before[persona.concern])
    ]
    return tuple(
        view for _worst, view in sorted(spoken, key=lambda one: (-one[0], -one[1].before, one[1].name))
    )


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Findings at one place that could not all be followed, what was decided, and by what: vote, evidence, rule, person.

    ``followed`` and ``left`` are their sentences; where a person has still to decide, all are in ``left``.
    """

    subject: str
    by: str
    reason: str
    followed: tuple[str, ...]
    left: tuple[str, ...]


def disagreements(report: RunReport) -> tuple[Disagreement, ...]:
    """Where personas disagreed, in the order in which it was settled."""
    words = {one.fingerprint: f"{one.rule}: {one.message}" for one in report.before}
    settled = [one.event for one in report.events if isinstance(one.event, ConflictResolved)]
    return tuple(
        Disagreement(
            one.subject,
            one.by,
            one.reason,
            tuple(words[each] for each in one.winners if each in words),
            tuple(words[each] for each in one.others if each in words),
        )
        for one in settled
        if one.kind == ConflictKind.CONTRADICTION
    )


def worst_of_each_rule(findings: Iterable[Finding], most: int) -> tuple[Finding, ...]:
    """The first finding of each rule, worst first."""
    first: dict[str, Finding] = {}
    for finding in worst_first(findings):
        first.setdefault(finding.rule, finding)
    return tuple(first.values())[:most]


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By severity, then place."""
    return tuple(
        sorted(
            findings,
            key=lambda one: (-one.severity, one.place.path, one.place.line, one.rule, one.fingerprint),
        )
    )


def _by_concern(findings: Iterable[Finding]) -> Mapping[str, list[Finding]]:
    groups: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.concern.value].append(finding)
    return groups


@dataclass(frozen=True, slots=True)
class Left:
    """Findings that are still there: the worst one by one, the rest counted by severity. ``new`` are positions."""

    shown: tuple[Finding, ...]
    new: frozenset[int]
    rest: tuple[tuple[str, int], ...]


def findings_left(report: RunReport, most: int = MOST_LEFT) -> Left:
    """What is left, at most ``most`` one by one."""
    ordered = worst_first(report.after)
    fresh = frozenset(report.new)
    rest = Counter(one.severity for one in ordered[most:])
    return Left(
        ordered[:most],
        frozenset(position for position, one in enumerate(ordered[:most]) if one in fresh),
        tuple((one.name.lower(), rest[one]) for one in SEVERITIES if rest[one]),
    )


def take_commands(report: RunReport) -> tuple[str, ...]:
    """Shell commands that look at the branch and take it; none where there is no branch."""
    if not report.branch:
        return ()
    branch, place = quote(report.branch), quote(report.where)
    if report.where == report.mirror:
        fetch = f"git fetch {place} {branch}:{branch}"
        return (fetch, f"git log --stat {report.base[:12]}..{branch}", f"git merge {branch}")
    return (f"cd {place}", f"git log --stat {report.base[:12]}..{branch}", f"git merge {branch}")


def rule_url(report: RunReport, rule: str) -> str:
    """The page of a rule, as its analyser gave it."""
    return next((one.url for one in report.before if one.rule == rule and one.url), "")


def environment_words(report: RunReport) -> tuple[str, ...]:
    """What the tests ran with, and what was noted about it."""
    prepared = [one.event for one in report.events if isinstance(one.event, EnvironmentPrepared)]
    return (prepared[-1].origin, *prepared[-1].notes) if prepared else ()


def analyser_failures(report: RunReport) -> tuple[str, ...]:
    """Analysers that did not finish, each once."""
    looks = [one.event for one in report.events if isinstance(one.event, RoastFinished)]
    return tuple(dict.fromkeys(failure for look in looks for failure in look.failures))


def time_in_sandbox(report: RunReport) -> TimeSpent | None:
    """How much of the time tests and analysers were running in the sandbox; None where it was not measured."""
    return next((one.event for one in reversed(report.events) if isinstance(one.event, TimeSpent)), None)
