"""Each attempt works in a copy; of two that changed one file the second is done again upon the first."""

from pathlib import Path

import pytest

from bullpen.flow.consensus.resolve import Outcome, ResolvedBy
from bullpen.flow.teams.desk import GONE, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Two files, and a place for copies."""
    shared, scratch = tmp_path / "shared", tmp_path / "scratch"
    shared.mkdir()
    scratch.mkdir()
    (shared / "a.txt").write_text("a\n")
    (shared / "b.txt").write_text("b\n")
    (shared / "run.sh").write_text("#!/bin/sh\n")
    (shared / "run.sh").chmod(0o755)
    return Desk(shared, scratch)


async def test_changes_come_back_and_the_copy_goes(desk: Desk) -> None:
    async with desk.copied() as copy:
        assert (copy.folder / "run.sh").stat().st_mode & 0o100
        (copy.folder / "a.txt").write_text("changed\n")
        (copy.folder / "b.txt").unlink()
        (copy.folder / "new" / "deep").mkdir(parents=True)
        (copy.folder / "new" / "deep" / "c.txt").write_text("c\n")
        landed = await desk.land(copy, "task-1", "ann")
    assert not copy.folder.exists()
    assert list(landed.changes) == ["a.txt", "b.txt", "new/deep/c.txt"]
    assert landed.changes["b.txt"] == GONE
    assert (desk.shared / "a.txt").read_text() == "changed\n"
    assert not (desk.shared / "b.txt").exists()
    assert (desk.shared / "new" / "deep" / "c.txt").read_text() == "c\n"


@pytest.mark.req("COL-03")
async def test_who_lands_second_in_one_file_does_it_again(desk: Desk) -> None:
    async with desk.copied() as first, desk.copied() as second:
        (first.folder / "a.txt").write_text("first\n")
        (second.folder / "a.txt").write_text("second\n")
        (second.folder / "b.txt").write_text("second\n")
        await desk.land(first, "task-1", "ann")
        landed = await desk.land(second, "task-2", "bob")
    (resolution,) = landed.resolutions
    assert (resolution.by, resolution.outcome) == (ResolvedBy.RULE, Outcome.REDO)
    assert resolution.reason.startswith("edit over 'a.txt': task-1 has landed already")
    assert (desk.shared / "a.txt").read_text() == "first\n"
    assert (desk.shared / "b.txt").read_text() == "b\n"  # all of it or nothing


async def test_the_same_change_twice_and_other_files_do_not_meet(desk: Desk) -> None:
    async with desk.copied() as first, desk.copied() as second:
        for copy in (first, second):
            (copy.folder / "a.txt").write_text("same\n")
        (second.folder / "b.txt").write_text("other\n")
        await desk.land(first, "task-1", "ann")
        assert not (await desk.land(second, "task-2", "bob")).resolutions
    assert (desk.shared / "b.txt").read_text() == "other\n"


async def test_links_lead_nowhere(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    async with desk.copied() as copy:
        (copy.folder / "link").symlink_to(secret)
        (copy.folder / "a.txt").unlink()
        (copy.folder / "a.txt").symlink_to(secret)
        landed = await desk.land(copy, "task-1", "ann")
    assert landed.changes == {"a.txt": GONE}
    assert not (desk.shared / "link").exists()
