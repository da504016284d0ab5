"""What a session came to, as one value: the table for people and the JSON for programs are drawn from it."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bullpen.cli.progress import ItemView, Progress
from bullpen.domain.finding import Severity
from bullpen.domain.money import Money
from bullpen.domain.session import Stage
from bullpen.flow.items.outcome import Outcome as End
from bullpen.flow.items.outcome import outcome_of as item_outcome
from bullpen.vcs.git import redact


@dataclass(frozen=True, slots=True)
class Tested:
    """One run of the project's tests. ``coverage`` is a share of lines, None where it was not measured.

    ``note`` says why it did not come to its end, and what to do.
    """

    passed: int
    failed: int
    coverage: float | None
    end: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Items that ended alike. ``ways`` counts why."""

    count: int
    ways: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """An item a session would work on, or leave."""

    id: str
    state: str
    priority: float
    severity: str
    rule: str
    path: str
    title: str
    recipe: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an improve session. Findings are counted by severity, the worst first; seconds are wall clock."""

    session: str
    project: str
    stage: str
    paused: bool
    problem: str
    remedy: str
    exit_status: int
    base: str
    branch: str
    commit: str
    where: str
    findings_before: Mapping[str, int]
    findings_after: Mapping[str, int]
    tests_before: Tested | None
    tests_after: Tested | None
    done: Group
    failed: Group
    skipped: Group
    waiting: Group
    left: Group
    approvable: Mapping[str, int]
    seconds: float
    first_change_seconds: float | None
    cost_usd: str
    reports: Mapping[str, str]
    notes: tuple[str, ...]
    dry_run: bool = False
    plan: tuple[PlannedItem, ...] = ()
    failures: tuple[str, ...] = ()  # analysers that could not run, and why

    @property
    def is_clean(self) -> bool:
        """Whether everything looked and there was nothing to find."""
        return self.stage == Stage.DONE and not any(self.findings_before.values()) and not self.failures


def outcome_of(
    state: Progress,
    *,
    problem: str = "",
    remedy: str = "",
    exit_status: int = 0,
    dry_run: bool = False,
    plan: Sequence[PlannedItem] = (),
) -> Outcome:
    """Gather it from the state after the last event."""
    items = list(state.items.values())
    first = min((one.seconds_since_start for one in state.landed), default=None)
    ends = {item.id: _end(item) for item in items}
    waiting = [item for item in items if ends[item.id] is End.NEEDS_APPROVAL]
    published = state.published
    failures = tuple(dict.fromkeys(one for roast in state.roasts.values() for one in roast.failures))
    return Outcome(
        session=state.session_id,
        project=redact(state.project),
        stage=state.stage.value,
        paused=state.paused and not state.stage.is_final,
        problem=problem,
        remedy=remedy,
        exit_status=exit_status,
        base=state.base,
        branch=published.branch if published else "",
        commit=published.commit if published else "",
        where=published.where if published else "",
        findings_before=_by_severity(state, "measured", "before"),
        findings_after=_by_severity(state, "after", "measured", "before"),
        tests_before=_tested(state, "measured", "before"),
        tests_after=_tested(state, "after"),
        done=_group(items, ends, (End.LANDED,)),
        failed=_group(items, ends, (End.FAILED,)),
        skipped=_group(items, ends, _SKIPPED),
        waiting=_group(items, ends, (End.NEEDS_APPROVAL,)),
        left=_group(items, ends, _LEFT),
        approvable=dict(Counter(item.rule for item in waiting).most_common()),
        seconds=round(state.last_at - state.started_at, 3),
        first_change_seconds=None if first is None else round(first, 3),
        cost_usd=str(Money(state.cost_micro_usd)),
        reports=dict(state.reports),
        notes=(*state.notes, *(f"an analyser could not run: {one}" for one in failures)),
        dry_run=dry_run,
        plan=tuple(plan),
        failures=failures,
    )


_SKIPPED = (End.NOT_NEEDED, End.TURNED_DOWN, End.ILL_DEFINED)
_LEFT = (
    End.NOT_STARTED,
    End.UNFINISHED,
    End.BEYOND_LIMIT,
    End.DECLINED,
    End.NO_RECIPE,
    End.REFUSED_BEFORE,
    End.UNDECIDED,
    End.OUTVOTED,
)
_WORDS = {
    End.NEEDS_APPROVAL: "the change may alter behaviour and waits for your approval",
    End.NOT_NEEDED: "an earlier change mended it",
    End.TURNED_DOWN: "cancelled or rejected by a person",
    End.ILL_DEFINED: "not defined well enough to act on",
    End.NOT_STARTED: "nobody has begun",
    End.UNFINISHED: "broken off",
    End.BEYOND_LIMIT: "beyond the number asked for (--max)",
    End.DECLINED: "a recipe looked at it and declined",
    End.NO_RECIPE: "no recipe knows the rule",
    End.REFUSED_BEFORE: "refused in an earlier session",
    End.UNDECIDED: "personas disagree, and a person decides (see `bullpen approvals`)",
    End.OUTVOTED: "personas disagreed, and another finding was followed",
}


def _end(item: ItemView) -> End:
    return item_outcome(
        item.state, first=item.first, worked=item.tried, recipe=item.recipe, reason=item.reason
    )


def _by_severity(state: Progress, *moments: str) -> Mapping[str, int]:
    """Of the first of these looks that was taken."""
    roast = next((state.roasts[moment] for moment in moments if moment in state.roasts), None)
    if roast is None:
        return {}
    named = zip(reversed(Severity), reversed(roast.by_severity), strict=True)
    return {severity.name.lower(): number for severity, number in named}


def _tested(state: Progress, *moments: str) -> Tested | None:
    run = next((state.tests[moment] for moment in moments if moment in state.tests), None)
    return Tested(run.passed, run.failed, run.coverage, run.end, run.note) if run else None


def _group(items: Sequence[ItemView], ends: Mapping[str, End], wanted: Sequence[End]) -> Group:
    mine = [item for item in items if ends[item.id] in wanted]
    return Group(len(mine), dict(Counter(_way(item, ends[item.id]) for item in mine).most_common()))


def _way(item: ItemView, end: End) -> str:
    """Why an item ended as it did, without what is particular to it, so that alike ones are counted together."""
    if end is End.LANDED:
        return item.rule
    if end in _WORDS:
        return _WORDS[end]
    if item.gates:
        return f"refused by {', '.join(item.gates)}"
    return re.split(r"[;:(]", item.reason, maxsplit=1)[0].strip().lower() or "no reason given"
