"""What every channel for summaries must do: post, say where, change nothing when asked again, and fail in words."""

from pathlib import Path

import pytest

from bullpen.domain.errors import BullpenError
from bullpen.domain.ids import SessionId
from bullpen.flow.summaries.channels.base import Summary
from bullpen.flow.summaries.post import CHANNELS

pytestmark = pytest.mark.req("SES-08")
SUMMARY = Summary(SessionId("ses-1"), "Session ses-1", "It is **over**, at last.\n\n- one item", 5.0)
every_channel = pytest.mark.parametrize("name", CHANNELS.names())


def contents(home: Path) -> dict[str, bytes]:
    return {str(one.relative_to(home)): one.read_bytes() for one in sorted(home.rglob("*")) if one.is_file()}


@every_channel
async def test_it_posts_and_says_where(name: str, tmp_path: Path) -> None:
    where = await CHANNELS.load(name).post(SUMMARY, tmp_path)
    assert where
    assert "\n" not in where
    assert CHANNELS.summary(name)


@every_channel
async def test_posting_the_same_again_changes_nothing(name: str, tmp_path: Path) -> None:
    channel = CHANNELS.load(name)
    first = await channel.post(SUMMARY, tmp_path)
    before = contents(tmp_path)
    assert await channel.post(SUMMARY, tmp_path) == first
    assert contents(tmp_path) == before


@every_channel
async def test_another_session_is_posted_beside_it(name: str, tmp_path: Path) -> None:
    channel = CHANNELS.load(name)
    await channel.post(SUMMARY, tmp_path)
    await channel.post(Summary(SessionId("ses-2"), "Session ses-2", "Another.", 6.0), tmp_path)
    told = b"".join(contents(tmp_path).values())
    assert b"at last" in told
    assert b"Another." in told


@every_channel
@pytest.mark.parametrize("text", ["", "lone \udcff surrogate", "nul \x00 and \x1b[31m", "x" * 200_000])
async def test_whatever_a_summary_holds_it_is_posted(name: str, text: str, tmp_path: Path) -> None:
    assert await CHANNELS.load(name).post(Summary(SessionId("ses-1"), "t", text, 1.0), tmp_path)


@every_channel
async def test_what_cannot_be_posted_is_told_in_words(name: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file where a folder should be")
    with pytest.raises(BullpenError) as caught:
        await CHANNELS.load(name).post(SUMMARY, home)
    assert caught.value.sentence
