"""At times that a cron expression names, in a time zone.

The five fields are those of Debian's cron. Where clocks go forward, a time that does not exist comes right after the gap;
where they go back, a fixed time comes once and a repeated one goes on in step with real time.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import dropwhile, islice, takewhile
from typing import Annotated, Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

from bullpen.flow.automation.triggers.base import Look, TriggerKind, Watch
from bullpen.flow.definitions.model import Strict

ON_TIME_SECONDS = 90.0  # a time seen within this was not missed
SKEW_SECONDS = 60.0  # by which clocks of two machines may differ
REMEMBER_SECONDS = 300.0  # how often it is written down that no time came
MOST_CAUGHT_UP = 10
MOST_COUNTED = 50_000  # a month of minutes
_START = datetime(2024, 1, 1, tzinfo=UTC)


def _cron(text: str) -> str:
    """ValueError where it is no cron expression of five fields, or never comes."""
    if len(text.split()) != 5:
        raise ValueError(f"{text!r} does not have five fields: minute, hour, day, month, weekday")
    try:
        next(CronSim(text, _START))
    except CronSimError as error:
        raise ValueError(f"{text!r} is no cron expression: {str(error).lower()}") from error
    except StopIteration as error:
        raise ValueError(f"{text!r} never comes") from error
    return text


def _zone(name: str) -> str:
    """ValueError where it is no name of the IANA time zone database."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; write one like Europe/Berlin or UTC") from error
    return name


class ScheduleOptions(Strict):
    """``cron`` such as ``0 3 * * *``; ``zone`` such as Europe/Berlin."""

    cron: Annotated[str, AfterValidator(_cron)]
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"


class SchedulePayload(Strict):
    """The time that has come, as ISO 8601 in UTC."""

    at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    late: Literal["", "late"] = ""


def times_after(options: ScheduleOptions, after: float) -> Iterator[float]:
    """Every time behind a moment, as seconds since 1970."""
    start = datetime.fromtimestamp(int(after), ZoneInfo(options.zone))
    times = (one.timestamp() for one in CronSim(options.cron, start))
    return dropwhile(
        lambda one: one <= after, times
    )  # begun in an hour that is there twice, it tells the first one


def next_time(options: ScheduleOptions, after: float) -> float | None:
    """The first time behind a moment; None where there is none for decades."""
    return next(times_after(options, after), None)


async def _look(watch: Watch, options: ScheduleOptions, memory: str) -> Look[SchedulePayload]:
    """The times since the last look. What was seen is remembered as a moment, so a time is met once.

    A clock that went back is followed: the times it comes to again have their keys already.
    """
    seen = _seen(memory)
    until = _memory(watch.at)
    if seen is None:
        return Look(until)
    if watch.at < seen - SKEW_SECONDS:
        words = f"the clock went back by {seen - watch.at:.0f} s; times that were met are not met again"
        return Look(until, note=words)
    if watch.at <= seen:
        return Look(memory)
    if watch.at - seen < REMEMBER_SECONDS and next(_up_to(options, seen, watch.at), None) is None:
        return Look(memory)
    met, missed = _chosen(watch, options, seen)
    note = (
        f"{missed} {'time' if missed == 1 else 'times'} passed unseen and not made up for" if missed else ""
    )
    return Look(until, tuple(_payload(one, watch.at) for one in met), note)


def _chosen(watch: Watch, options: ScheduleOptions, seen: float) -> tuple[list[float], int]:
    """The times to begin a run for, and how many others there were, as far as they are counted."""
    begin = max(seen, watch.at - max(watch.late, ON_TIME_SECONDS))
    passed = list(_up_to(options, begin, watch.at))
    fresh = [one for one in passed if watch.at - one <= ON_TIME_SECONDS]
    old = [one for one in passed if watch.at - one > ON_TIME_SECONDS]
    most = {"none": 0, "latest": 0 if fresh else 1, "all": MOST_CAUGHT_UP}[watch.catch_up]
    made_up = old[len(old) - min(most, len(old)) :]
    before = sum(1 for _ in _up_to(options, seen, begin)) if begin > seen else 0
    return [*made_up, *fresh], before + len(old) - len(made_up)


def _up_to(options: ScheduleOptions, after: float, until: float) -> Iterator[float]:
    return takewhile(lambda one: one <= until, islice(times_after(options, after), MOST_COUNTED))


def _seen(memory: str) -> float | None:
    return cast("float", json.loads(memory)["seen"]) if memory else None


def _memory(seen: float) -> str:
    return json.dumps({"seen": seen})


def _payload(at: float, now: float) -> SchedulePayload:
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return SchedulePayload(at=when, late="late" if now - at > ON_TIME_SECONDS else "")


def _objection(_options: ScheduleOptions, _payload: SchedulePayload) -> str:
    return ""


def _says(payload: SchedulePayload) -> str:
    return f"the time {payload.at} came{', seen late' if payload.late else ''}"


TRIGGER = TriggerKind(
    ScheduleOptions, SchedulePayload, _objection, lambda one: one.at, _says, _look, next_time, _memory
)
