"""Look at dead letters, the messages that nobody will be given any more; put them back into their queue, or forget them."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click

from bullpen.cli.arguments import json_option
from bullpen.domain.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bullpen.domain.ids import OrganizationId
    from bullpen.kernel.bus.backends.base import Backend, DeadLetter

T = TypeVar("T")
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Dead:
    """A dead letter and the queue it was in."""

    queue: str
    letter: "DeadLetter"


@click.group()
def messages() -> None:
    """Dead letters of the message bus."""


@messages.command(name="list")
@click.option("--queue", default="", metavar="ADDRESS", help="Only those of one queue, as agent:NAME.")
@json_option
def list_dead(queue: str, as_json: bool) -> int:
    """The dead letters, oldest first in each queue."""
    from bullpen.cli.output import print_json

    found = _on_bus(lambda backend, organization: _dead(backend, organization, queue))
    if as_json:
        print_json(found)
    else:
        _print(found)
    return 0


@messages.command()
@click.argument("message")
@json_option
def show(message: str, as_json: bool) -> int:
    """One dead letter with what is in it; MESSAGE is its id, or how it begins."""
    from bullpen.cli.output import print_json, printable

    found = _on_bus(lambda backend, organization: _named(backend, organization, message))
    if as_json:
        print_json(found)
        return 0
    one = found.letter.message
    for name, value in (
        ("id", found.letter.id),
        ("queue", found.queue),
        ("from", one.sender),
        ("kind", one.kind),
        ("conversation", one.correlation_id),
        ("handed out", str(found.letter.deliveries)),
        ("reason", found.letter.reason),
        ("payload", one.payload),
    ):
        click.echo(f"{name + ':':<14}{printable(value)}")
    return 0


@messages.command()
@click.argument("names", metavar="[MESSAGE]...", nargs=-1)
@click.option("--queue", default="", metavar="ADDRESS", help="All of this queue.")
def requeue(names: tuple[str, ...], queue: str) -> int:
    """Put dead letters back into their queue, to be tried again."""
    return _change(names, queue, "back in the queue", put_back=True)


@messages.command()
@click.argument("names", metavar="[MESSAGE]...", nargs=-1)
@click.option("--queue", default="", metavar="ADDRESS", help="All of this queue.")
def purge(names: tuple[str, ...], queue: str) -> int:
    """Forget dead letters for ever."""
    return _change(names, queue, "forgotten", put_back=False)


def _change(names: tuple[str, ...], queue: str, words: str, *, put_back: bool) -> int:
    from bullpen.cli.output import counted

    if bool(names) == bool(queue):
        raise InvalidInput("Which dead letters?", remedy="Name messages, or a queue with --queue.")

    async def change(backend: "Backend", organization: "OrganizationId") -> int:
        act = backend.requeue if put_back else backend.purge
        if queue:
            return await act(organization, queue)
        chosen = [await _named(backend, organization, name) for name in names]
        return sum([await act(organization, one.queue, [one.letter.id]) for one in chosen])

    click.echo(f"{counted(_on_bus(change), 'message')} {words}.", err=True)
    return 0


def _on_bus(body: "Callable[[Backend, OrganizationId], Awaitable[T]]") -> T:
    async def run() -> T:
        from bullpen.app import open_bus, open_records
        from bullpen.kernel.settings import read_settings

        async with open_records(read_settings()) as records, open_bus(records) as backend:
            return await body(backend, records.actor.organization_id)

    return asyncio.run(run())


async def _dead(backend: "Backend", organization: "OrganizationId", queue: str) -> list[Dead]:
    queues = [queue] if queue else await backend.dead_queues(organization)
    return [
        Dead(name, letter)
        for name in queues
        for letter in await backend.dead_letters(organization, name, MOST)
    ]


async def _named(backend: "Backend", organization: "OrganizationId", name: str) -> Dead:
    known = await _dead(backend, organization, "")
    found = [one for one in known if one.letter.id == name] or [
        one for one in known if one.letter.id.startswith(name)
    ]
    if not found:
        raise NotFound(f"No dead letter is called {name!r}.", remedy="See `bullpen messages list`.")
    if len(found) > 1:
        raise InvalidInput(
            f"{len(found)} dead letters are called {name!r}.", remedy="Write more of the id, or use --queue."
        )
    return found[0]


def _print(found: "Sequence[Dead]") -> None:
    from bullpen.cli.output import new_table, open_console, printable

    if not found:
        click.echo("There are no dead letters.", err=True)
        return
    table = new_table("message", "queue", "kind", "handed out", "reason")
    for one in found:
        letter = one.letter
        table.add_row(
            printable(letter.id),
            printable(one.queue),
            printable(letter.message.kind),
            str(letter.deliveries),
            printable(letter.reason),
        )
    open_console().print(table)


COMMAND = messages
