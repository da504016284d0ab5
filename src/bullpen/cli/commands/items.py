"""List work items, look at one with its history, comment on it, reject it, or make it ready again."""

import time
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import (
    change_records,
    item_named,
    json_option,
    read_records,
    session_named,
    session_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bullpen.domain.session import Session
    from bullpen.domain.work_item import WorkItem
    from bullpen.flow.improve.told import Told
    from bullpen.flow.teams.queries import Attempt
    from bullpen.kernel.storage.unit_of_work import UnitOfWork

_STATES = ("proposed", "ready", "in-progress", "in-review", "done", "rejected", "blocked")


@click.group(invoke_without_command=True)
@click.pass_context
def items(ctx: click.Context) -> int | None:
    """See and steer work items. Without a command: list those of the newest session."""
    return ctx.invoke(list_them) if ctx.invoked_subcommand is None else None


@items.command("list")
@session_option
@click.option("--state", type=click.Choice(_STATES), default=None, help="Only those in this state.")
@json_option
def list_them(session_id: str, state: str | None, as_json: bool) -> int:
    """In the order of work."""
    from bullpen.cli.output import print_json
    from bullpen.domain.work_item import ItemState
    from bullpen.work.queries import list_items

    async def ask(uow: "UnitOfWork") -> "Sequence[WorkItem]":
        session = await session_named(uow, session_id)
        return await list_items(uow, session.id, ItemState(state) if state else None)

    found = read_records(ask)
    if as_json:
        print_json(found)
    else:
        _print_list(found)
    return 0


def _print_list(found: "Sequence[WorkItem]") -> None:
    from rich.text import Text

    from bullpen.cli.output import SEVERITY_STYLES, new_table, open_console, printable

    if not found:
        click.echo("There is no such item.", err=True)
        return
    table = new_table("item", "state", ">priority", "severity", "rule", "title")
    for item in found:
        draft = item.draft
        severity = Text(draft.severity.name.lower(), SEVERITY_STYLES[draft.severity])
        score = f"{item.priority.score:.1f}"
        table.add_row(item.id, item.state.value, score, severity, draft.rule, printable(draft.title))
    open_console().print(table)


@items.command()
@click.argument("item")
@session_option
@json_option
def show(item: str, session_id: str, as_json: bool) -> int:
    """All that is known of ITEM."""
    from bullpen.cli.output import print_json
    from bullpen.flow.improve.told import told_of
    from bullpen.flow.teams.queries import list_attempts
    from bullpen.work.queries import list_tasks

    async def ask(uow: "UnitOfWork") -> "tuple[Session, WorkItem, Told, Sequence[tuple[str, Attempt]]]":
        session, named = await item_named(uow, session_id, item)
        phases = {one.id: one.kind for one in await list_tasks(uow, session.id) if one.item == named.id}
        tried = [one for task in phases for one in await list_attempts(uow, session.id, task)]
        tried.sort(key=lambda one: one.started_at)
        told = await told_of(uow, session.id, named)
        return session, named, told, [(phases[one.task], one) for one in tried]

    session, found, told, attempts = read_records(ask)
    if as_json:
        worked = [{"phase": phase, "attempt": one} for phase, one in attempts]
        print_json({"session": session.id, "item": found, "told": told, "attempts": worked})
    else:
        _print_item(session, found, told, attempts)
    return 0


def _print_item(
    session: "Session", item: "WorkItem", told: "Told", attempts: "Sequence[tuple[str, Attempt]]"
) -> None:
    from bullpen.cli.output import counted, printable

    draft, priority = item.draft, item.priority
    score = (
        f"  priority {priority.score:.1f} = impact {priority.impact:.2f} x likelihood {priority.likelihood:.2f}"
        f" / effort {priority.effort:.2f}; {'; '.join(priority.reasons)}"
    )
    lines = [
        f"{item.id} in {session.id}: {item.state.value}" + (f" ({item.reason})" if item.reason else ""),
        f"  {draft.title}",
        f"  {draft.severity.name.lower()} {draft.concern.value}, {draft.rule}, recipe {draft.recipe or 'none'}",
        score,
        f"  quality {item.quality:.2f}; about {counted(draft.effort_minutes, 'minute')}; proof: {draft.proof}",
        f"  why: {draft.why}",
        *(f"  evidence: {one}" for one in draft.evidence),
        *(f"  done when: {one}" for one in draft.acceptance),
        *(f"  after: {one}" for one in item.depends_on),
        *(f"  means to touch: {one}" for one in told.touches),
        *(f"  meets: {one}" for one in told.meets),
        *(f"  at odds: {one}" for one in told.at_odds),
    ]
    lines += [_attempt_line(phase, one) for phase, one in attempts]
    if item.change:
        lines.append(f"  change: {item.change}; check it with `bullpen verify {item.change[:12]}`")
    for step in item.history:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(step.at))
        lines.append(f"  {at} {step.state.value} by {step.by}" + (f": {step.note}" if step.note else ""))
    for line in lines:
        click.echo(printable(line))


def _attempt_line(phase: str, attempt: "Attempt") -> str:
    ended = attempt.outcome or attempt.state.value
    return f"  {phase} by {attempt.reason}: {ended}"


@items.command()
@click.argument("item")
@click.argument("text")
@session_option
def comment(item: str, text: str, session_id: str) -> int:
    """Say TEXT about ITEM; it stays in its history."""
    from bullpen.work.actions.items import comment_item

    async def change(uow: "UnitOfWork") -> None:
        session, found = await item_named(uow, session_id, item)
        await comment_item(uow, session.id, found.id, text)

    change_records(change)
    click.echo(f"{item}: noted.")
    return 0


@items.command()
@click.argument("item")
@click.option("--reason", required=True, help="Why it is not to be done.")
@session_option
def reject(item: str, reason: str, session_id: str) -> int:
    """Leave ITEM undone for good."""
    return _move(item, session_id, "rejected", reason)


@items.command()
@click.argument("item")
@click.option("--reason", default="", help="What has changed.")
@session_option
def ready(item: str, reason: str, session_id: str) -> int:
    """Put ITEM (back) among those to be worked on."""
    return _move(item, session_id, "ready", reason)


def _move(item: str, session_id: str, state: str, reason: str) -> int:
    from bullpen.domain.work_item import ItemState
    from bullpen.work.actions.items import move_item

    async def change(uow: "UnitOfWork") -> None:
        session, found = await item_named(uow, session_id, item)
        await move_item(uow, session.id, found.id, ItemState(state), reason=reason)

    change_records(change)
    click.echo(f"{item} is {state}.")
    return 0


COMMAND = items
