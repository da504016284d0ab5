"""What a report tells, and what a format must offer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bullpen.domain.finding import Finding
from bullpen.domain.money import Money
from bullpen.domain.session import Session
from bullpen.domain.test_report import TestReport
from bullpen.domain.verdict import Evidence
from bullpen.domain.work_item import WorkItem
from bullpen.kernel.bus.log import Recorded


@dataclass(frozen=True, slots=True)
class ItemStory:
    """One item, how it ended, and what proves it. ``patch`` is the landed commit's diff, empty if none landed."""

    item: WorkItem
    evidence: Evidence | None
    patch: bytes


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything a report may tell. ``seconds`` is a table of where time went, by part, in seconds."""

    session: Session
    name: str
    base: str
    branch: str
    commit: str
    where: str
    notes: tuple[str, ...]
    before: tuple[Finding, ...]
    after: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    new: tuple[Finding, ...]
    tests_before: TestReport
    tests_after: TestReport
    stories: tuple[ItemStory, ...]
    events: tuple[Recorded, ...]
    seconds: Mapping[str, float]
    cost: Money


class ReportFormat(Protocol):
    """One way to write a report."""

    name: str
    file_name: str

    def render(self, report: RunReport) -> bytes:
        """The whole file."""
        ...
