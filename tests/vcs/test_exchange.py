"""Commits and blobs that go from one mirror to another by a repository both can reach."""

import subprocess
from pathlib import Path

import pytest

from bullpen.domain.errors import NotFound, Unavailable
from bullpen.vcs.exchange import Exchange, exchange_identity, has_object, read_blob, store_blob
from bullpen.vcs.mirror import Mirror, fetch_mirror, make_mirror
from bullpen.vcs.source import open_source
from bullpen.vcs.trees import read_file

pytestmark = pytest.mark.req("SCH-03")


@pytest.fixture
def place(tmp_path: Path) -> str:
    path = tmp_path / "an exchange.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
    return f"file://{path}"


@pytest.fixture
async def mirror(user, tmp_path: Path) -> Mirror:
    return await fetch_mirror(await open_source(str(user.path)), tmp_path / "mirrors")


async def test_a_commit_and_a_report_reach_another_home(mirror: Mirror, place: str, tmp_path: Path) -> None:
    other = tmp_path / "other" / "mirrors" / mirror.path.name
    await make_mirror(other, "sha1")
    exchange = Exchange(place, "ses-1")
    report = await store_blob(mirror.path, b"\x00 \xff report\n")
    await exchange.offer(mirror.path, {f"tips/{mirror.base}": mirror.base, "reports/before": report})
    assert not await has_object(other, mirror.base)
    assert await exchange.bring(other, f"tips/{mirror.base}") == mirror.base
    assert await read_file(other, mirror.base, "a.py") == await read_file(mirror.path, mirror.base, "a.py")
    assert await read_blob(other, await exchange.bring(other, "reports/before")) == b"\x00 \xff report\n"


async def test_a_session_takes_only_its_own_away(mirror: Mirror, place: str) -> None:
    one, other = Exchange(place, "ses-1"), Exchange(place, "ses-10")
    for exchange in (one, other):
        await exchange.offer(mirror.path, {"tips/x": mirror.base})
    await one.forget(mirror.path)
    await one.forget(mirror.path)
    assert not await one.has(mirror.path, "tips/x")
    assert await other.has(mirror.path, "tips/x")


async def test_what_is_there_is_replaced(mirror: Mirror, place: str) -> None:
    exchange = Exchange(place, "ses-1")
    for content in (b"first", b"second"):
        await exchange.offer(mirror.path, {"reports/before": await store_blob(mirror.path, content)})
    assert await read_blob(mirror.path, await exchange.bring(mirror.path, "reports/before")) == b"second"


async def test_what_is_not_there_has_a_name(mirror: Mirror, place: str) -> None:
    with pytest.raises(NotFound, match="items/0-x"):
        await Exchange(place, "ses-1").bring(mirror.path, "items/0-x")


@pytest.mark.parametrize("url", ["file:///nowhere/at/all.git", "--upload-pack=touch x", "ext::sh -c id"])
async def test_one_that_cannot_be_used_says_what_to_check(mirror: Mirror, url: str) -> None:
    with pytest.raises(Unavailable, match="exchange") as refused:
        await Exchange(url, "ses-1").offer(mirror.path, {"tips/x": mirror.base})
    assert "setting exchange" in refused.value.remedy


def test_the_same_url_is_the_same_exchange() -> None:
    assert exchange_identity("ssh://h/x.git/") == exchange_identity("ssh://h/x.git")
    assert exchange_identity("ssh://h/x.git") != exchange_identity("ssh://h/y.git")
