"""How much of the disk a command takes: what counts, what does not, and what cannot hide."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.sandbox.backends.bubblewrap import Bubblewrap
from bullpen.sandbox.base import MEBIBYTE, Command, End, Limits, Mount
from bullpen.sandbox.changes import scan
from bullpen.sandbox.disk import Usage, watch_disk, writable_places
from bullpen.sandbox.stop import Stop

pytestmark = pytest.mark.req("BOX-02")
KIBIBYTE = 1024


def usage(root: Path, limit: int = MEBIBYTE, known: dict[int, int] | None = None, since: int = 0) -> Usage:
    return Usage((root,), limit, known or {}, since, (0,))


def made(root: Path, name: str, size: int) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


@given(sizes=st.lists(st.integers(0, 40 * KIBIBYTE), max_size=6))
def test_no_less_is_counted_than_was_written(sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        for number, size in enumerate(sizes):
            made(Path(name), f"d{number}/f", size)
        counted = usage(Path(name)).written()
    assert sum(sizes) <= counted <= sum(sizes) + 12 * KIBIBYTE * len(sizes)


def test_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    file = made(tmp_path, "a", 64 * KIBIBYTE)
    (tmp_path / "b").hardlink_to(file)
    assert usage(tmp_path).written() == 64 * KIBIBYTE


def test_holes_do_not_count(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(64 * MEBIBYTE)
    assert usage(tmp_path).written() == 4 * KIBIBYTE


def test_many_empty_files_count_for_something(tmp_path: Path) -> None:
    for number in range(50):
        made(tmp_path, str(number), 0)
    assert usage(tmp_path).written() == 50 * 4 * KIBIBYTE


def test_of_what_was_there_only_the_growth_counts(tmp_path: Path) -> None:
    file = made(tmp_path, "log", 64 * KIBIBYTE)
    known = {inode: size for inode, size, _ in scan(tmp_path).values()}
    with file.open("ab") as end:
        end.write(b"x" * 16 * KIBIBYTE)
    assert usage(tmp_path, known=known).written() == 16 * KIBIBYTE


def test_what_was_not_touched_since_does_not_count(tmp_path: Path) -> None:
    state = made(tmp_path, ".git/pack", 64 * KIBIBYTE).stat()
    assert usage(tmp_path, since=state.st_ctime_ns + 1).written() == 0


def test_links_are_not_followed(tmp_path: Path) -> None:
    made(tmp_path, "outside/big", 64 * KIBIBYTE)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "up").symlink_to(tmp_path)
    assert usage(inside).written() == 4 * KIBIBYTE


def test_a_single_writable_file_counts(tmp_path: Path) -> None:
    assert usage(made(tmp_path, "one", 64 * KIBIBYTE)).written() == 64 * KIBIBYTE


def test_a_path_too_long_to_look_below_counts_as_too_much(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 100, dir_fd=here)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert usage(tmp_path).written() > MEBIBYTE


def test_what_may_be_written_is_the_workspace_and_mounts_if_they_may(tmp_path: Path) -> None:
    mounts = (Mount(Path("/a"), "/a", writable=True), Mount(Path("/b"), "/b"))
    assert writable_places(Command(("x",), tmp_path, workspace_writable=True, mounts=mounts)) == (
        tmp_path,
        Path("/a"),
    )
    assert writable_places(Command(("x",), tmp_path)) == ()


async def test_the_watch_asks_for_the_end(tmp_path: Path) -> None:
    stop = Stop()
    command = Command(("x",), tmp_path, workspace_writable=True, limits=Limits(disk_bytes=8 * MEBIBYTE))
    async with watch_disk(command, {}, stop):
        made(tmp_path, "big", 32 * MEBIBYTE)
        assert await asyncio.wait_for(stop.asked, 60) is End.DISK


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own, of 64 MiB."""
    with tempfile.TemporaryDirectory(prefix="sandbox-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        point = Path(name, "disk")
        point.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=755", "none", point], check=True)
        try:
            yield point
        finally:
            subprocess.run(["umount", "--lazy", point], check=True)


@pytest.mark.req("BOX-04")
@pytest.mark.needs("bubblewrap", "root", "mounts")
async def test_files_without_a_name_cannot_fill_the_disk(small_disk: Path) -> None:
    script = (
        "import os,time\nkept=[]\nfor _ in range(200):\n"
        "  kept.append(os.open('.', os.O_TMPFILE|os.O_RDWR, 0o600)); os.write(kept[-1], bytes(1<<20)); time.sleep(0.02)\n"
        "time.sleep(60)\n"
    )
    command = Command(
        ("python3", "-c", script), small_disk, workspace_writable=True, limits=Limits(wall_seconds=50)
    )
    assert (await Bubblewrap().run(command)).end is End.DISK
