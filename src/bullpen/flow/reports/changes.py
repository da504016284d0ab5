"""The commits of a branch, each with its reason, its proof and its diff."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bullpen.domain.events.improve import ChangeLanded
from bullpen.domain.verdict import Evidence, GateResult
from bullpen.domain.work_item import WorkItem
from bullpen.flow.reports.base import Doer, ItemStory, RunReport
from bullpen.flow.reports.diff_view import MOST_LINES, DiffView, view_patch
from bullpen.flow.reports.plain import web_address
from bullpen.flow.reports.story import Outcome, by_outcome, rule_url

MOST_LINES_TOGETHER = 8000  # of all diffs of a report

_GATES: Mapping[str, str] = {
    "finding_gone": "The finding is gone",
    "new_findings": "No new finding as bad or worse",
    "tests_broken": "No test that passed fails",
    "tests_lost": "No test that passed went missing",
    "guards_broken": "No test, check or guard was weakened",
    "outside_scope": "Nothing outside the agreed places changed",
    "style_kept": "The project's own style is kept",
    "new_tests_falsified": "New tests fail without the change",
}


@dataclass(frozen=True, slots=True)
class LandedChange:
    """One commit. ``number`` counts from 1 in the order of the branch; ``at`` is seconds since the session's start."""

    number: int
    item: WorkItem
    evidence: Evidence | None
    diff: DiffView
    url: str
    at: float | None
    doers: tuple[Doer, ...] = ()

    @property
    def commit(self) -> str:
        """Its hash."""
        return self.item.change

    @property
    def gates(self) -> tuple[GateResult, ...]:
        """The gates it was held against; none where no evidence was kept."""
        verdict = self.evidence.verdict if self.evidence else None
        return verdict.gates if verdict else ()


def landed_changes(report: RunReport, most_lines: int = MOST_LINES) -> tuple[LandedChange, ...]:
    """In the order they landed. Diffs are cut at ``most_lines`` each and ``MOST_LINES_TOGETHER`` in all, and say so."""
    landings = [one.event for one in report.events if isinstance(one.event, ChangeLanded)]
    moments = {landing.item_id: landing.seconds_since_start for landing in landings}
    ranks = {landing.item_id: rank for rank, landing in enumerate(landings)}
    stories = sorted(
        by_outcome(report)[Outcome.LANDED], key=lambda story: ranks.get(story.item.id, len(ranks))
    )
    views = _views(stories, most_lines)
    return tuple(
        LandedChange(
            number=number,
            item=story.item,
            evidence=story.evidence,
            diff=view,
            url=web_address(rule_url(report, story.item.draft.rule)),
            at=moments.get(story.item.id),
            doers=story.doers,
        )
        for number, (story, view) in enumerate(zip(stories, views, strict=True), start=1)
    )


def _views(stories: Sequence[ItemStory], most_lines: int) -> list[DiffView]:
    left = MOST_LINES_TOGETHER
    views: list[DiffView] = []
    for story in stories:
        view = view_patch(story.patch, min(most_lines, left))
        left -= sum(len(file.lines) for file in view.files)
        views.append(view)
    return views


def gate_words(gate: GateResult) -> str:
    """What a gate stands for, in words; a gate of the person's own keeps its name."""
    return _GATES.get(gate.name, gate.name.replace("_", " "))
