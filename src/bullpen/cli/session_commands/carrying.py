"""What is carried from session to session of a project: see it, add to it, take from it."""

from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import change_records, json_option, read_records, session_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bullpen.kernel.storage.unit_of_work import UnitOfWork
    from bullpen.sessions.carried import CarriedFact, Merged

_kind = click.option(
    "--kind",
    type=click.Choice(["decision", "convention", "fact"]),
    default="decision",
    show_default=True,
    help="What it is.",
)


@click.command()
@click.argument("session", default="")
@json_option
def facts(session: str, as_json: bool) -> int:
    """What sessions of the project of SESSION (otherwise the newest) are told by earlier ones."""
    from bullpen.cli.output import new_table, open_console, print_json, printable
    from bullpen.sessions.queries import list_carried

    async def ask(uow: "UnitOfWork") -> "Sequence[CarriedFact]":
        return await list_carried(uow, (await session_named(uow, session)).project)

    found = read_records(ask)
    if as_json:
        print_json(found)
        return 0
    table = new_table("kind", "key", "is", "from", "note")
    for one in found:
        row = (one.kind.value, one.key, one.text, f"{one.session}, {one.by}", one.note)
        table.add_row(*map(printable, row))
    open_console().print(table)
    return 0


@click.command()
@click.argument("session")
@click.argument("key")
@click.argument("text")
@_kind
def carry(session: str, key: str, text: str, kind: str) -> int:
    """Tell later sessions of the project of SESSION that KEY is TEXT; it replaces what was told under KEY."""
    from bullpen.kernel.clock import now
    from bullpen.sessions.actions import carry_facts
    from bullpen.sessions.carried import CarriedFact, FactKind

    async def change(uow: "UnitOfWork") -> "Merged":
        stored = await session_named(uow, session)
        fact = CarriedFact(FactKind(kind), key, text, stored.id, uow.actor.id, now())
        return await carry_facts(uow, stored.id, [fact])

    for fact, before in change_records(change).changed:
        click.echo(f"{fact.kind.value} {fact.key!r} {'is changed' if before else 'is carried'}.")
    return 0


@click.command()
@click.argument("session")
@click.argument("key")
@_kind
def forget(session: str, key: str, kind: str) -> int:
    """Tell later sessions of the project of SESSION nothing about KEY any more."""
    from bullpen.sessions.actions import forget_fact
    from bullpen.sessions.carried import FactKind

    async def change(uow: "UnitOfWork") -> None:
        await forget_fact(uow, (await session_named(uow, session)).project, FactKind(kind), key)

    change_records(change)
    click.echo(f"{kind} {key!r} is carried no more.")
    return 0
