"""Files of a worktree are read and written without following any link."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import BullpenError, InvalidInput, LimitExceeded, NotFound
from bullpen.vcs.files import read_inside, remove_inside, write_inside

pytestmark = pytest.mark.req("BOX-04")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    inside = tmp_path / "root"
    (inside / "deep").mkdir(parents=True)
    (inside / "deep" / "file").write_bytes(b"\x00text\r\n")
    (inside / "link").symlink_to(tmp_path / "outside" / "secret")
    (inside / "folder").symlink_to(tmp_path / "outside")
    (inside / "inner").symlink_to("deep")
    os.mkfifo(inside / "pipe")
    return inside


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def test_reading_and_writing(root):
    assert read_inside(root, "deep/file") == b"\x00text\r\n"
    (root / "deep" / "file").chmod(0o755)
    write_inside(root, "deep/file", b"new")
    write_inside(root, "a/b/" + os.fsdecode(b"caf\xe9\n"), b"1")
    assert (root / "deep" / "file").stat().st_mode & 0o777 == 0o755
    assert read_inside(root, "a/b/" + os.fsdecode(b"caf\xe9\n")) == b"1"
    remove_inside(root, "deep/file")
    assert names_in(root / "deep") == []


@pytest.mark.parametrize(
    "path", ["link", "folder/secret", "inner/file", "pipe", "deep", "deep/file/x", "nowhere"]
)
def test_what_is_not_an_ordinary_file_is_not_read(root, path):
    with pytest.raises(NotFound):
        read_inside(root, path)


@pytest.mark.parametrize(
    "path", ["link", "folder/secret", "folder/new", "inner/file", "deep", "deep/file/x", "pipe"]
)
def test_nothing_is_written_through_a_link(root, path):
    with pytest.raises((NotFound, InvalidInput)):
        write_inside(root, path, b"overwritten")
    assert names_in(root.parent / "outside") == ["secret"]
    assert (root.parent / "outside" / "secret").read_text() == "secret"
    assert not [name for name in names_in(root) if name.startswith(".bullpen")]


def test_a_link_itself_may_be_removed(root):
    remove_inside(root, "link")
    with pytest.raises(NotFound):
        remove_inside(root, "folder/secret")
    assert (root.parent / "outside" / "secret").exists()


def test_large_files_are_refused(root):
    with pytest.raises(LimitExceeded):
        read_inside(root, "deep/file", most=3)


@given(
    st.lists(st.sampled_from(["..", ".", "", "folder", "link", "deep", "secret", ".git", "x\0"]), max_size=6)
)
def test_no_path_reads_what_is_outside(tmp_path_factory, parts):
    base = tmp_path_factory.getbasetemp() / "paths"
    if not base.exists():
        (base / "outside").mkdir(parents=True)
        (base / "outside" / "secret").write_text("secret")
        (base / "root" / "deep").mkdir(parents=True)
        (base / "root" / "link").symlink_to("../outside/secret")
        (base / "root" / "folder").symlink_to("../outside")
    with pytest.raises(BullpenError):
        read_inside(base / "root", "/".join(parts))
