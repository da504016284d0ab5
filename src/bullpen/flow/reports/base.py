"""What a report tells, and what a format must offer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bullpen.analysis.base import Persona
from bullpen.domain.finding import Finding
from bullpen.domain.money import Money
from bullpen.domain.session import Session
from bullpen.domain.test_report import TestReport
from bullpen.domain.verdict import Evidence
from bullpen.domain.work_item import WorkItem
from bullpen.kernel.bus.log import Recorded


@dataclass(frozen=True, slots=True)
class Ground:
    """What a session worked on. ``mirror`` is Bullpen's own copy; ``limits`` are words for people by name."""

    name: str
    base: str
    mirror: str
    notes: tuple[str, ...]
    limits: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Doer:
    """Somebody who had a try at a phase of an item. ``why`` is the sentence of the choice; ``ended`` as it was measured
    (won, lost), else the state of the attempt."""

    phase: str
    agent: str
    why: str
    ended: str


@dataclass(frozen=True, slots=True)
class ItemStory:
    """One item, how it ended, and what proves it. ``patch`` is the landed commit's diff, empty if none landed.

    ``doers`` are those it was given to, in order.
    """

    item: WorkItem
    evidence: Evidence | None
    patch: bytes
    doers: tuple[Doer, ...] = ()


@dataclass(frozen=True, slots=True)
class RunReport:
    """Everything a report may tell. ``seconds`` is a table of where time went, by part, in seconds.

    ``looked_again`` is false where nothing changed or the work broke off before the second look: then ``after`` and
    ``tests_after`` repeat what was there before. ``limits`` are words for people by name.
    """

    session: Session
    name: str
    base: str
    branch: str
    commit: str
    where: str
    mirror: str
    notes: tuple[str, ...]
    before: tuple[Finding, ...]
    after: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    new: tuple[Finding, ...]
    tests_before: TestReport
    tests_after: TestReport
    looked_again: bool
    stories: tuple[ItemStory, ...]
    events: tuple[Recorded, ...]
    seconds: Mapping[str, float]
    cost: Money
    personas: tuple[Persona, ...] = ()
    limits: Mapping[str, str] = field(default_factory=dict[str, str])


class ReportFormat(Protocol):
    """One way to write a report. ``name`` is its file's name; ``file_name`` is what people find in the folder."""

    name: str
    file_name: str

    def render(self, report: RunReport) -> bytes:
        """The whole file."""
        ...
