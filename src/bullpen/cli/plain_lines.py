"""One line of plain text for each event that matters to somebody who reads a log."""

from bullpen.cli.output import counted, duration, printable
from bullpen.cli.progress import Progress, work_tasks
from bullpen.domain.events import Event
from bullpen.domain.events.improve import (
    BranchPublished,
    ChangeLanded,
    ChangeRefused,
    ChangeSentBack,
    RepositoryOpened,
    RoastFinished,
    TestsRun,
    WaveStarted,
)
from bullpen.domain.events.pipelines import PipelineJobEnded, PipelineJobStarted
from bullpen.domain.events.session import StageReached
from bullpen.domain.events.work import ApprovalAsked, ItemMoved
from bullpen.domain.events.workflows import WorkflowStepEnded, WorkflowStepStarted
from bullpen.domain.finding import Severity
from bullpen.domain.session import Stage
from bullpen.domain.work_item import ItemState


def plain_line(state: Progress, event: Event) -> str:
    """What to say of an event, given the state after it; empty where nothing is."""
    return printable(
        _about_look(event) or _about_item(state, event) or _about_part(event) or _about_session(state, event)
    )


def _about_look(event: Event) -> str:
    match event:
        case RepositoryOpened():
            notes = "".join(f"; {note}" for note in event.notes)
            return f"opened {event.branch or 'HEAD'}@{event.base[:12]}: {counted(event.files, 'file')}{notes}"
        case TestsRun(when="before" | "after"):
            cover = "" if event.coverage is None else f", {event.coverage:.0%} of lines covered"
            words = f"{event.passed} pass, {event.failed} fail{cover}, {duration(event.seconds)}"
            return f"tests {event.when}: {words}" + (f". {event.note}" if event.note else "")
        case RoastFinished(when="before" | "after"):
            failed = f"; could not run: {'; '.join(event.failures)}" if event.failures else ""
            return f"found {event.when}: {counted(event.findings, 'finding')} ({severities(event)}){failed}"
        case _:
            return ""


def severities(roast: RoastFinished) -> str:
    """``1 high, 4 medium, 12 low``, the worst first."""
    named = zip(reversed(Severity), reversed(roast.by_severity), strict=True)
    return ", ".join(f"{number} {severity.name.lower()}" for severity, number in named if number) or "none"


def _about_item(state: Progress, event: Event) -> str:
    match event:
        case ChangeLanded():
            words = f"{event.commit[:12]} {event.title or _title(state, event.item_id)}"
            return f"landed: {words} (after {duration(event.seconds_since_start)})"
        case ChangeRefused():
            return f"refused: {_title(state, event.item_id)}: {event.reason}"
        case ChangeSentBack():
            return f"sent back: {_title(state, event.item_id)}: {event.reason}"
        case ItemMoved(state=ItemState.BLOCKED) if state.items[event.item_id].tried:
            return f"left: {_title(state, event.item_id)}: {event.reason}"
        case ApprovalAsked():
            return f"asks: {event.subject}: {event.reason} (`bullpen approve {event.approval_id}`)"
        case _:
            return ""


def _about_part(event: Event) -> str:
    match event:
        case WorkflowStepStarted() | PipelineJobStarted():
            return f"begins: {event.step if isinstance(event, WorkflowStepStarted) else event.job}"
        case WorkflowStepEnded() | PipelineJobEnded():
            name = event.step if isinstance(event, WorkflowStepEnded) else event.job
            time = f" ({duration(event.seconds)})" if event.seconds else ""
            return f"{event.state}: {name}{time}" + (f": {event.reason}" if event.reason else "")
        case _:
            return ""


def _about_session(state: Progress, event: Event) -> str:
    match event:
        case WaveStarted(wave=0):
            return f"planned: {counted(len(work_tasks(state)), 'item')} to work on"
        case BranchPublished():
            return f"published: branch {event.branch} in {event.where}"
        case StageReached(stage=Stage.FAILED | Stage.CANCELLED):
            return f"{event.stage}: {event.reason}"
        case _:
            return ""


def _title(state: Progress, item_id: str) -> str:
    item = state.items.get(item_id)
    return item.title if item else item_id
