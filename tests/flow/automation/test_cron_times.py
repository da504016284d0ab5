"""Times of a schedule: what clocks do in spring and autumn, what passed unseen, and clocks that jump."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bullpen.flow.automation.triggers.base import Look, Watch
from bullpen.flow.automation.triggers.schedule import (
    MOST_CAUGHT_UP,
    TRIGGER,
    ScheduleOptions,
    SchedulePayload,
    next_time,
    times_after,
)

pytestmark = pytest.mark.req("SES-07")
NIGHTLY = ScheduleOptions(cron="30 2 * * *", zone="Europe/Berlin")
HOURLY = ScheduleOptions(cron="0 * * * *")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()


def moment(year: int, month: int, day: int, hour: int, minute: int = 0) -> float:
    return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()


def utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%m-%d %H:%M")


async def look(
    options: ScheduleOptions, memory: str, at: float, catch_up: str = "latest", late: float = 86_400.0
) -> Look[SchedulePayload]:
    assert TRIGGER.look is not None
    return await TRIGGER.look(Watch("", Path(), at, catch_up, late), options, memory)


def first(at: float) -> str:
    assert TRIGGER.first is not None
    return TRIGGER.first(at)


def test_a_time_that_does_not_exist_comes_right_after_the_gap() -> None:
    times = times_after(NIGHTLY, moment(2026, 3, 28, 12))
    assert [utc(next(times)) for _ in range(2)] == ["03-29 01:00", "03-30 00:30"]


def test_a_time_that_is_there_twice_comes_once() -> None:
    times = times_after(NIGHTLY, moment(2026, 10, 24, 12))
    assert [utc(next(times)) for _ in range(2)] == ["10-25 00:30", "10-26 01:30"]
    between = moment(2026, 10, 25, 1)  # the second two o'clock
    assert utc(next_time(NIGHTLY, between) or 0) == "10-26 01:30"


def test_every_half_hour_goes_on_with_real_time_when_clocks_go_back() -> None:
    options = ScheduleOptions(cron="*/30 * * * *", zone="Europe/Berlin")
    times = times_after(options, moment(2026, 10, 24, 23, 45))
    found = [next(times) for _ in range(6)]
    assert {later - earlier for earlier, later in pairwise(found)} == {1800.0}


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("* * * *", "five fields"),
        ("* * * * * *", "five fields"),
        ("61 * * * *", "bad minute"),
        ("0 0 30 2 *", "bad day"),
        ("@daily", "five fields"),
        ("0 0 * * MONDAY", "bad day-of-week"),
    ],
)
def test_what_is_no_schedule_is_said(cron: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ScheduleOptions(cron=cron)


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd", "", "/etc/localtime"])
def test_what_is_no_time_zone_is_said(zone: str) -> None:
    with pytest.raises(ValidationError, match="no time zone"):
        ScheduleOptions(cron="0 3 * * *", zone=zone)


async def test_a_time_is_met_once_however_often_it_is_looked_at() -> None:
    memory, met = first(NOON), list[str]()
    for second in range(0, 7200, 7):
        found = await look(HOURLY, memory, NOON + second)
        memory = found.memory
        met.extend(one.at for one in found.found)
    assert met == ["2026-06-01T13:00:00Z"]


async def test_what_passed_unseen_is_made_up_for_as_the_file_says() -> None:
    memory, later = first(NOON), NOON + 5 * 3600 + 600
    none = await look(HOURLY, memory, later, "none")
    latest = await look(HOURLY, memory, later, "latest")
    every = await look(HOURLY, memory, later, "all")
    assert (none.found, none.note) == ((), "5 times passed unseen and not made up for")
    assert [one.at[11:16] for one in latest.found] == ["17:00"]
    assert latest.found[0].late
    assert latest.note.startswith("4 times")
    assert [one.at[11:13] for one in every.found] == ["13", "14", "15", "16", "17"]
    assert every.note == ""


async def test_what_is_too_late_is_left_and_told() -> None:
    found = await look(HOURLY, first(NOON), NOON + 5 * 3600 + 600, "all", late=2 * 3600)
    assert [one.at[11:13] for one in found.found] == ["16", "17"]
    assert found.note.startswith("3 times")
    month = await look(HOURLY, first(NOON), NOON + 30 * 86_400, "all", late=31 * 86_400)
    assert len(month.found) == MOST_CAUGHT_UP + 1  # and the one that is on time
    assert month.note.startswith(f"{720 - MOST_CAUGHT_UP - 1} times")


async def test_a_clock_that_jumps_forward_and_back_loses_nothing_and_says_so() -> None:
    wrong = await look(HOURLY, first(NOON), NOON + 365 * 86_400)
    assert "times passed unseen" in wrong.note
    back = await look(HOURLY, wrong.memory, NOON + 1800)
    assert (back.found, "the clock went back" in back.note) == ((), True)
    after = await look(HOURLY, back.memory, NOON + 3601)
    assert [one.at for one in after.found] == ["2026-06-01T13:00:00Z"]


async def test_a_clock_that_goes_back_over_a_time_tells_it_with_the_same_key() -> None:
    met = await look(HOURLY, first(NOON), NOON + 3700)
    back = await look(HOURLY, met.memory, NOON + 3500)
    again = await look(HOURLY, back.memory, NOON + 3700)
    assert [TRIGGER.key(one) for one in again.found] == [TRIGGER.key(one) for one in met.found]


async def test_clocks_of_two_machines_may_differ_a_little() -> None:
    met = await look(HOURLY, first(NOON), NOON + 3601)
    other = await look(HOURLY, met.memory, NOON + 3590)
    assert (other.memory, other.found, other.note) == (met.memory, (), "")


@given(
    st.sampled_from(["*/7 * * * *", "30 2 * * *", "0 3 * * MON-FRI", "15,45 1-3 28-31 * *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.floats(1.6e9, 2.0e9),
    st.lists(st.floats(0, 40_000), min_size=1, max_size=20),
)
async def test_however_the_looks_fall_each_time_is_met_once_and_in_order(
    cron: str, zone: str, start: float, pauses: list[float]
) -> None:
    options = ScheduleOptions(cron=cron, zone=zone)
    memory, at, met = first(start), start, list[str]()
    for pause in pauses:
        at += pause
        found = await look(options, memory, at, "all", late=31 * 86_400.0)
        memory = found.memory
        met.extend(one.at for one in found.found)
    assert met == sorted(set(met))
    last = datetime.fromtimestamp(at, UTC)
    due = times_within(options, start, at)
    assert set(met) <= set(due)
    assert all(one > start for one in map(seconds, met))
    assert [one for one in due if last - timedelta(seconds=60) < datetime.fromisoformat(one)] == [
        one for one in met if last - timedelta(seconds=60) < datetime.fromisoformat(one)
    ]


def times_within(options: ScheduleOptions, start: float, end: float) -> list[str]:
    found = list[str]()
    for one in times_after(options, start):
        if one > end:
            return found
        found.append(datetime.fromtimestamp(one, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    return found


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
