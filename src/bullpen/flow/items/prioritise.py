"""Priority: impact × likelihood ÷ effort, every number explained."""

from dataclasses import dataclass

from bullpen.domain.finding import Severity
from bullpen.domain.work_item import ItemDraft, Priority

_IMPACT = {
    Severity.INFO: 1.0,
    Severity.LOW: 2.0,
    Severity.MEDIUM: 4.0,
    Severity.HIGH: 8.0,
    Severity.CRITICAL: 16.0,
}


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of a file, each None where it could not be measured.

    ``importers`` counts modules that reach it through imports (transitive); ``changes`` its commits in the last year;
    ``covered`` the share of its lines that tests run; ``age_days`` since its last change.
    """

    importers: int | None = None
    changes: int | None = None
    covered: float | None = None
    age_days: float | None = None
    is_test: bool = False


def prioritise(draft: ItemDraft, facts: FileFacts) -> Priority:
    """Weigh one item. Impact 1–16 by severity; likelihood multiplies what makes the fault matter; effort in hours."""
    impact = _IMPACT[draft.severity]
    factors = _likelihood(draft, facts)
    likelihood = 1.0
    for factor, _reason in factors:
        likelihood *= factor
    effort = max(draft.effort_minutes / 60, 0.05) * (1.0 if draft.recipe else 4.0)
    reasons = [f"impact {impact:g}: {draft.severity.name.lower()} severity"]
    reasons += [f"×{factor:.2f}: {reason}" for factor, reason in factors]
    reasons.append(f"÷{effort:.2f}: hours" + ("" if draft.recipe else ", no recipe knows it"))
    return Priority(
        round(impact * likelihood / effort, 3), impact, round(likelihood, 3), effort, tuple(reasons)
    )


def _likelihood(draft: ItemDraft, facts: FileFacts) -> list[tuple[float, str]]:
    factors: list[tuple[float, str]] = []
    if len(draft.lines) > 1:
        factors.append((1 + min(len(draft.lines), 10) / 10, f"{len(draft.lines)} places"))
    if facts.is_test:
        factors.append((0.4, "it is test code"))
    if facts.importers is not None:
        factors.append((1 + min(facts.importers, 50) / 50, f"{facts.importers} modules reach it"))
    if facts.changes is not None:
        factors.append((1 + min(facts.changes, 30) / 30, f"{facts.changes} commits in a year"))
    if facts.covered is not None:
        factors.append((1 + (1 - facts.covered) / 2, f"{facts.covered:.0%} of its lines are tested"))
    if facts.age_days is not None and facts.age_days > 730:
        factors.append((0.8, f"untouched for {facts.age_days / 365:.0f} years"))
    return factors
