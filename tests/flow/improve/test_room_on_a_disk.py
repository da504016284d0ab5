"""Whether there is room to work: what is kept free, and what a failure for want of space teaches."""

import errno
from pathlib import Path

import pytest

from bullpen.flow.improve.room import MOST_KEPT, Disk, Room, disk_of, tells_of_full_disk

pytestmark = pytest.mark.req("OPS-03")
HOME = Path("/home")


def room(*free: int, size: int = 2_000) -> tuple[Room, list[int]]:
    """Of a disk with so much free at each look; the last one stays."""
    left = list(free)
    return Room(HOME, lambda _home: Disk(left.pop(0) if len(left) > 1 else left[0], size)), left


def test_a_share_is_kept_free_but_no_more_than_is_needed() -> None:
    assert Disk(0, 2_000).kept == 100
    assert Disk(0, 10**15).kept == MOST_KEPT


def test_too_little_is_told_and_enough_is_not() -> None:
    some, _ = room(99, 100)
    assert some.lacking().startswith("There is too little space on the disk of /home: ")
    assert some.lacking() == ""


def test_after_a_failure_it_takes_more_than_there_was() -> None:
    some, left = room(500)
    assert not some.note("the tests fail")
    assert some.note(OSError(errno.ENOSPC, "No space left on device"))
    assert some.lacking(), "what runs is to be handed on first"
    some.settle()
    assert some.lacking(), "with what there is it would fail again"
    left[:] = [600]
    assert some.lacking() == ""
    left[:] = [500]
    assert some.lacking() == "", "only once: by now it may do"


def test_a_disk_that_is_full_by_now_explains_a_failure() -> None:
    some, _ = room(0)
    assert some.note("the tests fail")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        ("fatal: write error: No space left on device", True),
        ("database or disk is full", True),
        ("3 tests fail", False),
    ],
)
def test_which_errors_tell_of_a_full_disk(error: OSError | str, told: bool) -> None:
    assert tells_of_full_disk(error) is told


def test_a_real_disk_is_measured(tmp_path: Path) -> None:
    disk = disk_of(tmp_path)
    assert 0 <= disk.free <= disk.size
