"""Say in words what a session did: ``python examples/tell.py SESSION REPOSITORY``. Reads records, changes nothing."""

import asyncio
import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bullpen.analysis.queries import list_findings
from bullpen.app import open_records
from bullpen.domain.events.agent import ToolFinished
from bullpen.domain.events.improve import BranchPublished, ChangeRefused, ChangeSentBack, TestsRun
from bullpen.domain.ids import SessionId
from bullpen.domain.work_item import ItemState, WorkItem
from bullpen.kernel.bus.log import Recorded, replay
from bullpen.kernel.settings import Settings, read_settings
from bullpen.work.queries import list_items, list_tasks


Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class Story:
    """What the records hold of one session."""

    items: Sequence[WorkItem]
    events: Sequence[object]
    broken_tests: dict[str, tuple[str, ...]]  # by item: tests that failed while it was worked on
    before: int
    after: int


async def read_story(settings: Settings, session_id: SessionId) -> Story:
    """Everything that is told, from the database."""
    async with open_records(settings) as records, records.database.view(records.actor) as uow:
        events: list[Recorded] = []
        while found := await replay(uow, session_id, events[-1].position if events else 0):
            events += found
        tasks = {task.id: task.item for task in await list_tasks(uow, session_id)}
        broken: dict[str, tuple[str, ...]] = {}
        for one in events:
            if isinstance(one.event, ToolFinished) and one.event.tool == "run_tests":
                names = json.loads(one.event.content).get("new_failures", ())
                item = tasks.get(one.event.task_id) or ""
                broken[item] = (*broken.get(item, ()), *names)
        before = await list_findings(uow, session_id, "before")
        after = await list_findings(uow, session_id, "after")
        items = await list_items(uow, session_id)
        return Story(items, [one.event for one in events], broken, len(before), len(after))


def told(story: Story, repository: str, reports: Path) -> Iterator[str]:
    """The story, line by line."""
    done = [item for item in story.items if item.state is ItemState.DONE]
    yield f"What happened: {len(done)} changes landed; findings went from {story.before} to {story.after}."
    for run in _of(story, TestsRun):
        if run.when in ("before", "after"):
            cover = f", {run.coverage:.0%} of the lines covered" if run.coverage else ""
            yield f"  tests {run.when}: {run.passed} passed, {run.failed} failed{cover}"
    yield from _refused(story)
    yield from _came_back(story)
    yield from _left(story)
    yield from _further(story, repository, reports)


def _of(story: Story, kind: type[Kind]) -> list[Kind]:
    return [event for event in story.events if isinstance(event, kind)]


def _refused(story: Story) -> Iterator[str]:
    gates = {one.item_id: one.reason for one in _of(story, ChangeRefused)}
    for item in story.items:
        if item.state is not ItemState.BLOCKED:
            continue
        if tests := dict.fromkeys(story.broken_tests.get(item.id, ())):
            yield f"\nRefused, because a test fails with the change: {_name(item)}"
            yield from (f"  {test}" for test in tests)
        elif item.id in gates:
            yield f"\nRefused, because the evidence speaks against the change: {_name(item)}"
            yield from textwrap.wrap(gates[item.id], 100, initial_indent="  ", subsequent_indent="  ")


def _came_back(story: Story) -> Iterator[str]:
    items = {item.id: item for item in story.items}
    for back in _of(story, ChangeSentBack):
        item = items[back.item_id]
        other = next((one for one in story.items if one.id in back.reason), None)
        end = "done again upon it, and landed" if item.state is ItemState.DONE else f"then {item.state.value}"
        yield f"\nTwo changes met: {_name(item)}"
        yield f"  {back.reason.replace(other.id, _name(other)) if other else back.reason}"
        yield f"  It came back from the merge queue, was {end}."


def _left(story: Story) -> Iterator[str]:
    waiting = [item for item in story.items if "--approve" in item.reason]
    no_recipe = [item for item in story.items if item.state is ItemState.PROPOSED]
    yield f"\nLeft: {len(waiting)} items wait for your yes (--approve RULE), {len(no_recipe)} need a person or a language model."


def _further(story: Story, repository: str, reports: Path) -> Iterator[str]:
    branch = next((one.branch for one in _of(story, BranchPublished)), "")
    yield "\nThe reports:"
    yield from (f"  {path}" for path in sorted(reports.glob("*")))
    if branch:
        yield "\nThe branch (your checkout and your branch are as they were):"
        yield f"  git -C {repository} log --oneline main..{branch}"
        yield f"  git -C {repository} show {branch}"
        yield f"  git -C {repository} merge {branch}"
    yield "\nOn your own code:"
    yield "  .venv/bin/bullpen improve PATH --dry-run"
    yield "  .venv/bin/bullpen improve PATH"


def _name(item: WorkItem) -> str:
    return f"{item.draft.rule} in {item.draft.path}"


def main() -> None:
    """Read and tell."""
    session_id, repository = sys.argv[1:]
    settings = read_settings()
    story = asyncio.run(read_story(settings, SessionId(session_id)))
    print("\n" + "\n".join(told(story, repository, settings.home / "sessions" / session_id / "reports")))


if __name__ == "__main__":
    main()
