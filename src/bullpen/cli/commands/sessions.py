"""List sessions, look at one, replay, pause, resume, cancel, archive, tag, fork, export and import."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import (
    change_records,
    json_option,
    read_given,
    read_records,
    session_named,
    write_given,
)
from bullpen.cli.session_commands import carrying, history, sharing, stats
from bullpen.cli.session_commands.history import history_of
from bullpen.domain.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bullpen.domain.ids import SessionId
    from bullpen.domain.session import Session
    from bullpen.flow.improve.means import Means
    from bullpen.kernel.bus.log import Recorded
    from bullpen.kernel.storage.unit_of_work import UnitOfWork
    from bullpen.sessions.transfer import Imported


COMMANDS = (
    carrying.carry,
    carrying.facts,
    carrying.forget,
    history.replay,
    history.show_at,
    sharing.share,
    sharing.shared,
    sharing.shares,
    sharing.unshare,
    stats.stats,
)


@click.group(invoke_without_command=True, commands=COMMANDS)
@click.pass_context
def sessions(ctx: click.Context) -> int | None:
    """See and steer sessions. Without a command: list them."""
    return ctx.invoke(list_them) if ctx.invoked_subcommand is None else None


@sessions.command("list")
@click.option("--project", default="", help="Only those of this repository.")
@click.option("--archived", is_flag=True, help="Those that were archived.")
@json_option
def list_them(project: str, archived: bool, as_json: bool) -> int:
    """Newest first."""
    from bullpen.cli.arguments import full_path
    from bullpen.cli.output import print_json
    from bullpen.sessions.queries import list_sessions

    wanted = full_path(project) if project else ""

    async def ask(uow: "UnitOfWork") -> "Sequence[Session]":
        return await list_sessions(uow, project=wanted, archived=archived)

    found = read_records(ask)
    if as_json:
        print_json([summary(one) for one in found])
    else:
        _print_list(found)
    return 0


def summary(one: "Session") -> dict[str, object]:
    from bullpen.vcs.git import redact

    return {
        "id": one.id,
        "kind": one.kind,
        "goal": one.goal,
        "project": redact(one.project),
        "stage": one.stage,
        "paused": one.paused,
        "archived": one.archived,
        "tags": one.tags,
        "parent": one.parent,
        "participants": one.participants,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
    }


def _print_list(found: "Sequence[Session]") -> None:
    from bullpen.cli.output import new_table, open_console, printable
    from bullpen.vcs.git import redact

    if not found:
        click.echo("There is no session. Start with `bullpen improve PATH`.", err=True)
        return
    table = new_table("session", "stage", "begun", "project", "tags")
    for one in found:
        begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.created_at))
        stage = f"{one.stage.value} (paused)" if one.paused else one.stage.value
        table.add_row(one.id, stage, begun, printable(redact(one.project)), printable(", ".join(one.tags)))
    open_console().print(table)


@sessions.command()
@click.argument("session", default="")
@json_option
def show(session: str, as_json: bool) -> int:
    """What SESSION (otherwise the newest) came to so far."""
    from bullpen.cli.outcome import outcome_of
    from bullpen.cli.output import open_console, print_json
    from bullpen.cli.progress import Progress, fold
    from bullpen.cli.summary import print_summary
    from bullpen.sessions.queries import list_children

    async def ask(uow: "UnitOfWork") -> "tuple[Session, list[Recorded], Sequence[Session]]":
        stored, events = await history_of(uow, session)
        return stored, events, await list_children(uow, stored.id)

    stored, events, children = read_records(ask)
    below = [one.id for one in children]
    state = fold(Progress(), events)
    problem = state.reason if stored.stage.value in ("failed", "cancelled") else ""
    outcome = outcome_of(state, problem=problem)
    if as_json:
        print_json({**summary(stored), "children": below, "outcome": outcome})
    else:
        click.echo(f"{stored.id}: {stored.stage.value}{', paused' if stored.paused else ''}")
        _print_company(stored, below)
        print_summary(open_console(), outcome)
    return 0


def _print_company(one: "Session", children: "Sequence[str]") -> None:
    from bullpen.cli.output import printable

    named = (
        ("takes part", one.participants),
        ("forked from", [one.parent] if one.parent else ()),
        ("forks", children),
    )
    for words, names in named:
        if names:
            click.echo(printable(f"{words}: {', '.join(names)}"))


@sessions.command()
@click.argument("session")
def pause(session: str) -> int:
    """Start nothing new in SESSION; what runs is finished."""
    from bullpen.sessions.actions import pause_session

    return _steer(session, pause_session, "is paused; go on with `bullpen sessions resume`")


@sessions.command()
@click.argument("session")
def resume(session: str) -> int:
    """Let a paused SESSION go on."""
    from bullpen.sessions.actions import resume_session

    return _steer(session, resume_session, "goes on")


@sessions.command()
@click.argument("session")
@click.option("--reason", default="", help="Why; the report says it.")
def cancel(session: str, reason: str) -> int:
    """End SESSION for good, also where another process runs it: work stops, what is known is reported."""
    from bullpen.cli.arguments import in_workshop
    from bullpen.flow.cancel import cancel as say_cancelled
    from bullpen.flow.cancel import tidy_cancelled

    async def change(uow: "UnitOfWork") -> "SessionId":
        stored = await session_named(uow, session)
        await say_cancelled(uow, stored, reason)
        return stored.id

    async def tidy(means: "Means", _: object) -> str:
        unwritten = await tidy_cancelled(means, name)
        return f"There is no report: {unwritten}" if unwritten else f"Report: {means.folder(name).reports}"

    name = change_records(change)
    click.echo(f"{name} is cancelled.")
    try:
        click.echo(in_workshop(tidy))
    except Unavailable:
        click.echo("The process that runs it has not stopped yet; it writes the report when it does.")
    return 0


@sessions.command()
@click.argument("session")
def archive(session: str) -> int:
    """Take SESSION out of the lists; nothing is deleted."""
    from bullpen.sessions.actions import archive_session

    return _steer(session, archive_session, "is archived")


def _steer(name: str, action: "Callable[[UnitOfWork, SessionId], Awaitable[None]]", words: str) -> int:
    async def change(uow: "UnitOfWork") -> str:
        stored = await session_named(uow, name)
        await action(uow, stored.id)
        return stored.id

    click.echo(f"{change_records(change)} {words}.")
    return 0


@sessions.command()
@click.argument("session")
@click.argument("tags", nargs=-1)
def tag(session: str, tags: tuple[str, ...]) -> int:
    """Give SESSION these TAGS in place of those it has."""
    from bullpen.sessions.actions import tag_session

    async def change(uow: "UnitOfWork") -> str:
        stored = await session_named(uow, session)
        await tag_session(uow, stored.id, tags)
        return stored.id

    click.echo(f"{change_records(change)} has {len(set(tags))} tags.")
    return 0


@sessions.command()
@click.argument("session")
@click.option(
    "--at", "position", type=click.IntRange(0), default=0, help="Position of the event; 0: the last one."
)
@click.option("--as", "name", default="", metavar="ID", help="Name of the new session.")
@json_option
def fork(session: str, position: int, name: str, as_json: bool) -> int:
    """Begin a new session with the history of SESSION up to one of its events."""
    from bullpen.cli.output import print_json
    from bullpen.sessions.transfer import fork_session

    async def change(uow: "UnitOfWork") -> "Session":
        return await fork_session(uow, (await session_named(uow, session)).id, position, name)

    child = change_records(change)
    if as_json:
        print_json(summary(child))
    else:
        click.echo(f"{child.id} forked from {child.metadata['forked_from']}")
        click.echo(f"Run it with: bullpen improve {child.project} --resume --session {child.id}")
    return 0


@sessions.command("export")
@click.argument("session")
@click.argument("file", type=click.Path(path_type=Path))
def export_it(session: str, file: Path) -> int:
    """Write SESSION with its history and reports to FILE; who has it can import, read and replay it."""
    from bullpen.kernel.settings import read_settings
    from bullpen.sessions.transfer import export_session

    async def read(uow: "UnitOfWork") -> "tuple[str, bytes]":
        stored = await session_named(uow, session)
        folder = read_settings().home / "sessions" / stored.id / "reports"
        return stored.id, await export_session(uow, stored.id, _files(folder))

    name, content = read_records(read)
    write_given(file, content)
    click.echo(f"{name} is in {file} ({len(content):,} bytes).")
    return 0


def _files(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        return {}
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@sessions.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "name", default="", metavar="ID", help="Another name for it here.")
def import_it(file: Path, name: str) -> int:
    """Take in the session in FILE."""
    from bullpen.kernel.settings import read_settings
    from bullpen.sessions.transfer import import_session

    content = read_given(file, "Write one with `bullpen sessions export SESSION FILE`.")

    async def change(uow: "UnitOfWork") -> "Imported":
        return await import_session(uow, content, name)

    imported = change_records(change)
    folder = read_settings().home / "sessions" / imported.session.id / "reports"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for report, body in imported.reports.items():
            (folder / report).write_bytes(body)
    except OSError as error:
        raise InvalidInput(f"The reports cannot be written to {folder}: {error.strerror}.") from error
    click.echo(f"{imported.session.id} is here; see `bullpen sessions show {imported.session.id}`.")
    return 0


COMMAND = sessions
