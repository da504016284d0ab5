"""The summary of a session, from its events alone, and its way to the channels that are configured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import yaml

from bullpen.domain.actor import Actor
from bullpen.domain.errors import BullpenError, InvalidInput
from bullpen.domain.events.improve import BranchPublished, RoastFinished
from bullpen.domain.events.session import SummaryPosted, SummaryRefused
from bullpen.domain.ids import SessionId
from bullpen.domain.work_item import ItemState
from bullpen.flow.summaries.channels.base import Channel, Summary
from bullpen.kernel.bus.log import Recorded, replay
from bullpen.kernel.extend import ExtensionPoint
from bullpen.kernel.storage.database import Database
from bullpen.kernel.yaml_text import read_yaml
from bullpen.sessions.actions import carry_facts
from bullpen.sessions.analytics import SessionStats, stats_of
from bullpen.sessions.carried import learned_from
from bullpen.sessions.state import ItemThen, state_after
from bullpen.vcs.git import redact

CHANNELS: ExtensionPoint[Channel] = ExtensionPoint("bullpen.flow.summaries.channels", "CHANNEL")
DEFAULT = ("file",)
MOST_EVENTS = 1_000_000
_SHOWN = 20  # items of a kind that are named
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>#|"})


def summarise(events: Sequence[Recorded]) -> Summary:
    """A session in a few lines: what came of it, what it cost, what waits for a person."""
    then, stats = state_after(events), stats_of(events)
    items = list(then.items.values())
    done = [one for one in items if one.state is ItemState.DONE]
    failed = [one for one in items if one.state is ItemState.BLOCKED and one.owner]
    waiting = [one.subject for one in then.approvals.values() if one.answer == "pending"]
    lines = [
        f"{_plain(then.session.goal)}, in {_plain(redact(then.session.project))}: **{stats.stage}**.",
        _figures(stats),
        *_findings(events),
        *(f"Branch: `{one.event.branch}`." for one in events if isinstance(one.event, BranchPublished)),
        *_named("Done", done),
        *_named("Not done", failed),
        *([f"Waits for approval: {', '.join(map(_plain, waiting))}."] if waiting else []),
    ]
    return Summary(then.session.id, f"Session {then.session.id}", "\n\n".join(lines), then.at)


def _figures(stats: SessionStats) -> str:
    success = "" if stats.success is None else f" ({stats.success:.0%} of those tried)"
    return (
        f"{stats.done} of {stats.items} items done{success}, {stats.rework} times sent back; "
        f"{stats.seconds:.0f} s of work, {stats.steps} steps, {stats.tokens} tokens, {stats.cost}."
    )


def _findings(events: Sequence[Recorded]) -> list[str]:
    seen = {one.event.when: one.event.findings for one in events if isinstance(one.event, RoastFinished)}
    before = seen.get("measured", seen.get("before"))  # measured: the same commit, with coverage
    if before is None:
        return []
    after = f", {seen['after']} after" if "after" in seen else ""
    return [f"Findings: {before} before{after}."]


def _named(title: str, items: Sequence[ItemThen]) -> list[str]:
    if not items:
        return []
    lines = [
        f"- {_plain(one.title)}" + (f": {_plain(one.reason)}" if one.reason else "") for one in items[:_SHOWN]
    ]
    more = [f"- and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else []
    return ["\n".join([f"{title}:", "", *lines, *more])]


def _plain(text: str) -> str:
    """One line of words that no reader of Markdown takes for anything else."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split()).translate(_MARKS)


def configured_channels(home: Path) -> tuple[str, ...]:
    """The names under ``summaries`` in ``automation.yaml`` of Bullpen's home; ``file`` where nothing is said.

    Raises:
        InvalidInput: the file cannot be read, or names what is no channel; the sentence says what.
    """
    path = home / "automation.yaml"
    try:
        said: Any = read_yaml(path.read_text("utf-8")) if path.exists() else {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    names: Any = cast("dict[str, Any]", said).get("summaries", DEFAULT) if isinstance(said, dict) else None
    known = CHANNELS.names()
    if not isinstance(names, list | tuple) or not all(
        name in known for name in cast("Sequence[object]", names)
    ):
        raise InvalidInput(f"{path}: summaries is not a list of channels ({', '.join(known)}).")
    return tuple(cast("Sequence[str]", names))


async def conclude_records(database: Database, actor: Actor, home: Path, session_id: SessionId) -> None:
    """What a session leaves when it ends: what later ones are told, and its summary in every configured channel.

    What cannot be posted is told in the log and ends nothing.
    """
    async with database.transaction(actor) as uow:
        events = await replay(uow, session_id, limit=MOST_EVENTS)
        await carry_facts(uow, session_id, learned_from(events))
    try:
        channels = configured_channels(home)
    except InvalidInput as error:
        async with database.transaction(actor) as uow:
            uow.record(session_id, SummaryRefused("", error.sentence))
        return
    for channel in channels:
        await post_summary(database, actor, home, summarise(events), channel)


async def post_summary(
    database: Database, actor: Actor, home: Path, summary: Summary, channel: str
) -> SummaryPosted | SummaryRefused:
    """Post to one channel, and record where it is or why it is not.

    Raises:
        NotFound: there is no such channel.
    """
    chosen = CHANNELS.load(channel)
    told: SummaryPosted | SummaryRefused
    try:
        told = SummaryPosted(channel, await chosen.post(summary, home))
    except BullpenError as error:
        told = SummaryRefused(channel, error.sentence)
    async with database.transaction(actor) as uow:
        uow.record(summary.session, told)
    return told
