"""Files on their way to another machine and back: exactly, and never out of the folder."""

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import BullpenError, Conflict, Unavailable
from bullpen.sandbox.backends._docker_copy import Digest, Owner, pack, unpack

OWNER = Owner(10001, all_of_it=True)


def archive_of(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    spool = io.BytesIO()
    with tarfile.open(fileobj=spool, mode="w", encoding="utf-8", errors="surrogateescape") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    spool.seek(0)
    return spool


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def packed(root: Path) -> io.BytesIO:
    spool = io.BytesIO()
    pack(root, "work", OWNER, spool)
    spool.seek(0)
    return spool


def picture(root: Path) -> dict[str, tuple[int, bytes]]:
    """Type with mode, and content or target, of all that is in a folder."""
    found: dict[str, tuple[int, bytes]] = {}
    for path in sorted(root.rglob("*")):
        state = path.lstat()
        content = b"" if path.is_dir() else os.fsencode(path.readlink()) if path.is_symlink() else b""
        if stat.S_ISREG(state.st_mode):
            content = path.read_bytes()
        found[str(path.relative_to(root))] = (state.st_mode, content)
    return found


def fill(root: Path) -> None:
    root.mkdir()
    (root / "deep" / "er").mkdir(parents=True)
    (root / os.fsdecode(b"odd \xff\n'")).write_bytes(b"x")
    (root / "deep" / "program").write_text("#!/bin/sh\n")
    (root / "deep" / "program").chmod(0o751)
    (root / "deep" / "er" / "data").write_bytes(bytes(100_000))
    (root / "out").symlink_to("/etc/passwd")
    (root / "dangling").symlink_to(os.fsdecode(b"no\xfe"))
    os.link(root / "deep" / "program", root / "same")
    os.mkfifo(root / "pipe")


@pytest.mark.req("BOX-04")
def test_a_folder_arrives_as_it_is_and_unchanged_comes_back_as_no_change(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    fill(here)
    there.mkdir()
    sent = pack(here, "work", OWNER, io.BytesIO())
    arrived = unpack(packed(here), there, {})
    assert picture(there) == picture(here)
    assert (there / "same").samefile(there / "deep" / "program")
    assert "out" in arrived.changed
    before = {path: path.lstat().st_ino for path in here.rglob("*")}
    assert unpack(packed(there), here, sent).changed == ()
    assert {path: path.lstat().st_ino for path in here.rglob("*")} == before


def test_all_that_can_change_comes_back(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    fill(here)
    sent = pack(here, "work", OWNER, io.BytesIO())
    there.mkdir()
    unpack(packed(here), there, {})
    (there / "deep" / "er" / "data").unlink()
    (there / "deep" / "er").rmdir()
    (there / "deep" / "er").write_text("a file now")
    (there / "out").unlink()
    (there / "out").mkdir(mode=0o700)
    (there / "out" / "in").write_text("a folder now")
    (there / "dangling").unlink()
    (there / "dangling").symlink_to("elsewhere")
    (there / "deep" / "program").chmod(0o644)
    (there / "pipe").unlink()
    changed = unpack(packed(there), here, sent).changed
    assert picture(here) == picture(there)
    assert changed == ("dangling", "deep/er", "deep/er/data", "deep/program", "out", "out/in", "pipe", "same")


@pytest.mark.req("BOX-04")
def test_a_file_that_is_linked_from_elsewhere_is_replaced_not_written_into(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "outside").write_text("mine")
    os.link(tmp_path / "outside", here / "file")
    sent = pack(here, "work", OWNER, io.BytesIO())
    unpack(archive_of((member("work/file"), b"theirs")), here, sent)
    assert (here / "file").read_text() == "theirs"
    assert (tmp_path / "outside").read_text() == "mine"


@pytest.mark.req("BOX-04")
@pytest.mark.parametrize("name", ["work/../up", "/work/up", "work/a/../../up"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    here = tmp_path / "here"
    here.mkdir()
    with pytest.raises(Unavailable, match="leads elsewhere"):
        unpack(archive_of((member(name), b"x")), here, {})
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["here"]


@pytest.mark.req("BOX-04")
def test_nothing_is_written_through_a_link_it_brings_or_finds(tmp_path: Path) -> None:
    here, secret = tmp_path / "here", tmp_path / "secret"
    here.mkdir()
    secret.mkdir()
    (here / "found").symlink_to(secret)
    for through in (
        archive_of((member("work/l", tarfile.SYMTYPE, str(secret)), b""), (member("work/l/x"), b"x")),
        archive_of((member("work/found/x"), b"x")),
    ):
        with pytest.raises(Conflict):
            unpack(through, here, {})
    assert list(secret.iterdir()) == []


@pytest.mark.req("BOX-04")
def test_a_hard_link_to_what_it_did_not_bring_is_refused(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for target in ("work/none", "/etc/passwd", "work/me"):
        with pytest.raises(Unavailable):
            unpack(archive_of((member("work/me", tarfile.LNKTYPE, target), b"")), here, {})
    assert list(here.iterdir()) == []


@pytest.mark.req("BOX-04")
def test_no_file_comes_back_that_runs_as_its_owner_and_no_device(tmp_path: Path) -> None:
    device = member("work/disk", tarfile.BLKTYPE)
    device.devmajor, device.devminor = 8, 0
    unpack(archive_of((member("work/s", mode=0o6755), b"x"), (device, b"")), tmp_path, {})
    assert picture(tmp_path) == {"s": (stat.S_IFREG | 0o755, b"x")}


def test_what_stays_is_neither_removed_nor_written(tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / ".git").mkdir(parents=True)
    (here / ".git" / "config").write_text("mine")
    (here / "gone").write_text("")
    sent = pack(here, "work", OWNER, io.BytesIO())
    back = archive_of(
        (member("work/.git", tarfile.DIRTYPE, mode=0o777), b""), (member("work/.git/config"), b"evil")
    )
    assert unpack(back, here, sent, {".git"}).changed == ("gone",)
    assert (here / ".git" / "config").read_text() == "mine"
    assert unpack(archive_of(), here, sent, {".git"}).changed == ("gone",)
    assert (here / ".git" / "config").read_text() == "mine"


@pytest.mark.req("BOX-04")
@pytest.mark.parametrize("tail", [b"", b"Error: the disk is gone", bytes(100), b"x" * 600])
def test_an_archive_that_is_cut_between_two_files_removes_nothing(tmp_path: Path, tail: bytes) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for name in "abc":
        (here / name).write_text(name)
    sent = pack(here, "work", OWNER, io.BytesIO())
    whole = archive_of((member("work/a"), b"a"), (member("work/b"), b"b")).getvalue()
    with pytest.raises(Unavailable, match="not whole"):
        unpack(io.BytesIO(whole[: 4 * 512] + tail), here, sent)
    assert sorted(path.name for path in here.iterdir()) == ["a", "b", "c"]


def test_a_folder_that_got_something_here_meanwhile_is_not_emptied(tmp_path: Path) -> None:
    here = tmp_path / "here"
    (here / "d").mkdir(parents=True)
    sent = pack(here, "work", OWNER, io.BytesIO())
    (here / "d" / "new").write_text("mine")
    with pytest.raises(Conflict):
        unpack(archive_of(), here, sent)
    assert (here / "d" / "new").read_text() == "mine"


@pytest.mark.req("BOX-04")
@given(data=st.binary(max_size=4096))
def test_what_is_no_archive_is_refused_or_empty(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here = tmp_path_factory.mktemp("here")
    try:
        found = unpack(io.BytesIO(data), here, {}).changed
    except BullpenError:
        found = ()
    assert found == ()


@pytest.mark.req("BOX-02")
@pytest.mark.needs("root")
def test_what_the_other_side_could_not_read_does_not_travel(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "closed").mkdir(parents=True)
    (root / "closed" / "open").write_text("key one")
    (root / "closed").chmod(0o700)
    (root / "private").write_text("key two")
    (root / "private").chmod(0o600)
    (root / "public").write_text("word")
    spool = io.BytesIO()
    pack(root, "opt/x", Owner(10001, all_of_it=False), spool)
    assert b"key" not in spool.getvalue()
    assert b"word" in spool.getvalue()


def test_the_same_content_has_the_same_hash_and_another_has_not(tmp_path: Path) -> None:
    def digest() -> str:
        found = Digest()
        pack(tmp_path / "a", "mount", OWNER, found)
        return found.hexdigest()

    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_text("one")
    first = digest()
    assert digest() == first
    (tmp_path / "a" / "f").write_text("two")
    assert digest() != first
