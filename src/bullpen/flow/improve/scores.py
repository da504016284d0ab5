"""Scores of a change by aspect, between 0 and 1, from measurements alone. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from bullpen.domain.test_report import Coverage
from bullpen.flow.gates import Measured
from bullpen.flow.guarding.paths import is_test_path
from bullpen.vcs.diffs import Diff

READABLE = 200  # changed lines a person still reads in one go (Cisco's study of 2,500 reviews, 2006)
HELD = (
    2 / 3
)  # share of faults in touched lines that tests must notice where no recipe vouches; some faults change nothing


@dataclass(frozen=True, slots=True)
class Weighed:
    """What scores are made of, beside the measurements of the gates."""

    findings_asked: int
    findings_gone: int
    tests_expected: int
    tests_passed: int
    mutation: float | None
    derived: bool
    covered: float | None
    changed_lines: int


def change_scores(weighed: Weighed, measured: Mapping[str, Measured]) -> dict[str, float]:
    """Each aspect that could be measured; what could not is left out rather than guessed."""
    scores = {
        "findings": _findings(weighed, measured),
        "security": float(not measured.get("security_findings", 0)),
        "tests": weighed.tests_passed / weighed.tests_expected if weighed.tests_expected else None,
        "coverage": weighed.covered,
        "mutation": weighed.mutation,
        "derivation": float(weighed.derived),
        "size": min(1.0, READABLE / max(weighed.changed_lines, 1)),
        "style": float(bool(measured.get("style_kept"))),
        "guards": float(measured.get("guards_broken") == 0),
        "scope": float(measured.get("outside_scope") == 0),
    }
    return {aspect: round(score, 3) for aspect, score in scores.items() if score is not None}


def _findings(weighed: Weighed, measured: Mapping[str, Measured]) -> float:
    """The share that went, nothing where a worse one came."""
    if measured.get("new_findings") != 0 or not measured.get("finding_gone"):
        return 0.0
    return weighed.findings_gone / weighed.findings_asked if weighed.findings_asked else 1.0


def covered_share(diff: Diff, coverage: Coverage | None) -> float | None:
    """Of the lines of code a change replaced or removed and that could run, the share tests ran; None if unknown."""
    if coverage is None:
        return None
    ran, could = 0, 0
    for file in diff.files:
        cover = coverage.files.get(file.path)
        if cover is None or is_test_path(file.path):
            continue
        old = {line for hunk in file.hunks for line in hunk.removed}
        ran += len(old & cover.executed)
        could += len(old & (cover.executed | cover.missing))
    return ran / could if could else None
