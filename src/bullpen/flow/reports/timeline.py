"""Where time went: the session's stages and waves as spans, and when each change landed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bullpen.domain.events.improve import ChangeLanded, RoastFinished, WaveStarted
from bullpen.domain.events.session import StageReached
from bullpen.domain.session import Stage
from bullpen.flow.reports.base import RunReport
from bullpen.flow.reports.gather import ended_at
from bullpen.kernel.bus.log import Recorded


class SpanKind(StrEnum):
    """What a span stands for."""

    LOOK = "look"
    WORK = "work"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the run, in seconds since its start."""

    name: str
    kind: SpanKind
    start: float
    end: float
    note: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Mark:
    """Changes that landed at the same moment, in seconds since the start."""

    at: float
    changes: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """The whole run. Spans follow each other; they do not overlap and leave no gap."""

    seconds: float
    spans: tuple[Span, ...]
    landings: tuple[Mark, ...]


_TOGETHER = 0.5  # seconds; one transaction lands a batch


def timeline(report: RunReport) -> Timeline:
    """Spans begin where a stage is reached or a wave starts, and last until the next one begins."""
    events = report.events
    if not events:
        return Timeline(0.0, (), ())
    start, end = events[0].at, max(ended_at(events), events[0].at)
    edges = [(one.at, *edge) for one in events if one.at <= end and (edge := _edge(one))]
    first = (start, "opening the repository", SpanKind.OTHER, "")
    spans = tuple(_spans([first, *edges], start, end))
    return Timeline(end - start, spans, tuple(_landings(events, start)))


def _edge(recorded: Recorded) -> tuple[str, SpanKind, str] | None:
    match recorded.event:
        case StageReached(stage=stage) if stage in _STAGES:
            name, kind = _STAGES[Stage(stage)]
            return name, kind, ""
        case RoastFinished(when=when):
            return ("planning" if when == "before" else "handing over"), SpanKind.OTHER, ""
        case WaveStarted(wave=wave, items=items):
            count = len(items)
            return f"wave {wave + 1}", SpanKind.WORK, f"{count} item{'' if count == 1 else 's'}"
        case _:
            return None


_STAGES = {
    Stage.INITIALIZE: ("opening the repository", SpanKind.OTHER),
    Stage.ANALYSIS: ("tests and analysers", SpanKind.LOOK),
    Stage.DESIGN: ("planning", SpanKind.OTHER),
    Stage.IMPLEMENTATION: ("planning", SpanKind.OTHER),
    Stage.TESTING: ("second look", SpanKind.LOOK),
    Stage.VALIDATION: ("handing over", SpanKind.OTHER),
}


def _spans(edges: Sequence[tuple[float, str, SpanKind, str]], start: float, end: float) -> Iterator[Span]:
    """Neighbours of one name are one span; one that took no time is left out."""
    name, kind, note, begun = edges[0][1], edges[0][2], edges[0][3], start
    for at, next_name, next_kind, next_note in (*edges[1:], (end, "", SpanKind.OTHER, "")):
        if next_name == name:
            continue
        if at > begun:
            yield Span(name, kind, begun - start, at - start, note)
        name, kind, note, begun = next_name, next_kind, next_note, max(at, begun)


def _landings(events: Iterable[Recorded], start: float) -> Iterator[Mark]:
    at, changes = 0.0, 0
    for recorded in events:
        if not isinstance(recorded.event, ChangeLanded):
            continue
        moment = recorded.at - start
        if changes and moment - at > _TOGETHER:
            yield Mark(at, changes)
            changes = 0
        at, changes = (at if changes else moment), changes + 1
    if changes:
        yield Mark(at, changes)
