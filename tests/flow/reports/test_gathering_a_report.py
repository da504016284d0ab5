"""A report is gathered from real records: a database, and a mirror with the commits of a branch."""

import subprocess
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bullpen.analysis.actions import keep_findings
from bullpen.app import Records, open_records
from bullpen.domain.events.improve import BranchPublished, ChangeLanded, RoastFinished
from bullpen.domain.ids import SessionId
from bullpen.domain.work_item import ItemState
from bullpen.flow.items.generate import draft_items
from bullpen.flow.items.reasons import BEYOND
from bullpen.flow.reports import story
from bullpen.flow.reports.base import Ground
from bullpen.flow.reports.gather import gather
from bullpen.kernel.settings import Settings
from bullpen.sessions.actions import create_session, note_facts
from bullpen.work.actions.evidence import keep_evidence
from bullpen.work.actions.items import move_item, propose_items

pytestmark = pytest.mark.req("IMP-03")

SESSION = SessionId("ses-gathered00")


@pytest.fixture
async def records(tmp_path: Path) -> AsyncGenerator[Records]:
    async with open_records(Settings(home=tmp_path)) as opened:
        yield opened


def _git(where: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    done = subprocess.run(["git", *who, *arguments], cwd=where, capture_output=True, check=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def commits(tmp_path: Path) -> tuple[Path, str, str]:
    """A repository with a base and a change upon it."""
    repository = tmp_path / "repository"
    repository.mkdir()
    _git(repository, "init", "-q")
    for text in ("import os\n", ""):
        (repository / "a.py").write_text(text)
        _git(repository, "add", "a.py")
        _git(repository, "commit", "-q", "-m", "A step")
    return repository / ".git", _git(repository, "rev-parse", "HEAD~1"), _git(repository, "rev-parse", "HEAD")


async def _improved(records: Records, made: SimpleNamespace, commits: tuple[Path, str, str]) -> Ground:
    repository, base, tip = commits
    async with records.database.transaction(records.actor) as uow:
        await create_session(uow, SESSION, kind="improve", goal="", project=str(repository), options="{}")
        await keep_findings(uow, SESSION, "before", [made.finding(0), made.finding(1)])
        ready, beyond = (
            made.item(0, ItemState.READY),
            replace(made.item(1, ItemState.PROPOSED), reason=BEYOND),
        )
        await propose_items(uow, SESSION, [ready, beyond])
        uow.record(SESSION, RoastFinished("before", 2, (0, 2, 0, 0, 0), 1.0))
    async with records.database.transaction(records.actor) as uow:
        for state in (ItemState.IN_PROGRESS, ItemState.IN_REVIEW):
            await move_item(uow, SESSION, ready.id, state)
        await move_item(uow, SESSION, ready.id, ItemState.DONE, change=tip)
        await keep_evidence(uow, SESSION, tip, made.evidence(0, "true meets == true"))
        uow.record(SESSION, ChangeLanded(ready.id, tip, 2.5))
        await note_facts(uow, SESSION, tip=tip)
    return Ground("repository", base, str(repository), ("a note",), {"memory": "1 GiB"})


async def test_a_whole_session_becomes_one_value(
    records: Records, made: SimpleNamespace, commits: tuple[Path, str, str]
) -> None:
    ground = await _improved(records, made, commits)
    async with records.database.transaction(records.actor) as uow:
        await keep_findings(uow, SESSION, "after", [made.finding(1)])
        uow.record(SESSION, RoastFinished("after", 1, (0, 1, 0, 0, 0), 1.0))
        uow.record(SESSION, BranchPublished("bullpen/x", commits[2], ground.mirror))
    async with records.database.view(records.actor) as uow:
        report = await gather(uow, SESSION, ground, made.suite(), made.suite())
    assert report.looked_again
    assert ([one.rule for one in report.gone], report.new) == (["ruff:F000"], ())
    assert (report.branch, report.commit) == ("bullpen/x", commits[2])
    done, beyond = report.stories
    assert b"-import os" in done.patch
    assert done.evidence == made.evidence(0, "true meets == true")
    assert done.item.history[-1].state is ItemState.DONE
    assert story.outcome_of(beyond.item) is story.Outcome.BEYOND_LIMIT
    assert story.headline(report).sentence.startswith("1 of 2 items with a recipe landed as a commit")
    assert report.seconds["first change"] == 2.5


@pytest.mark.parametrize("tested_again", [True, False])
async def test_work_that_broke_off_before_the_second_look_counts_nothing_as_gone(
    records: Records, made: SimpleNamespace, commits: tuple[Path, str, str], tested_again: bool
) -> None:
    ground = await _improved(records, made, commits)
    async with records.database.view(records.actor) as uow:
        report = await gather(uow, SESSION, ground, made.suite(), made.suite() if tested_again else None)
    assert not report.looked_again
    assert (report.gone, report.new) == ((), ())
    assert report.after == report.before
    assert "not looked at again" in story.headline(report).sentence


async def test_a_title_claims_no_more_places_than_are_gone(
    records: Records, made: SimpleNamespace, commits: tuple[Path, str, str]
) -> None:
    repository, base, tip = commits
    one, two = (replace(made.finding(number), rule="ruff:F000", message="It is odd.") for number in (0, 1))
    (draft,) = draft_items(SESSION, [one, replace(two, place=one.place)], lambda _rule, _fix: None)
    assert draft.title == f"Close 2 holes in {one.place.path}: It is odd"
    item = replace(made.item(0, ItemState.READY), draft=draft)
    async with records.database.transaction(records.actor) as uow:
        await create_session(uow, SESSION, kind="improve", goal="", project=str(repository), options="{}")
        await keep_findings(uow, SESSION, "before", [one, replace(two, place=one.place)])
        await propose_items(uow, SESSION, [item])
        for state in (ItemState.IN_PROGRESS, ItemState.IN_REVIEW):
            await move_item(uow, SESSION, item.id, state)
        await move_item(uow, SESSION, item.id, ItemState.DONE, change=tip)
        proof = replace(made.evidence(0, "done"), item=item.id, findings_gone=(one.fingerprint,))
        await keep_evidence(uow, SESSION, tip, proof)
        ground = Ground("repository", base, str(repository), (), {})
        report = await gather(uow, SESSION, ground, made.suite(), None)
    assert report.stories[0].item.draft.title == f"Close a hole in {one.place.path}: It is odd"
