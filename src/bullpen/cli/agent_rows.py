"""How agents are shown: a row for each, one in full, and what checks found."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from bullpen.agents.card import Card
from bullpen.agents.discovery import Key, Registration
from bullpen.agents.fleet import Fleet
from bullpen.agents.health import Checkup, Health
from bullpen.agents.registry import Quarantined, Roster, load_roster
from bullpen.cli.output import new_table, open_console, printable
from bullpen.domain.errors import NotFound

ROLE = "role"


@dataclass(frozen=True, slots=True)
class AgentRow:
    """One agent. ``standing`` is ready, on-trial, drained or stopped; ``success`` from 0 to 1, None before its first
    task; ``load`` of ``capacity`` tasks are with it in all processes; times are seconds since 1970.
    """

    name: str
    namespace: str
    kind: str
    version: str
    revision: str
    generation: int
    standing: str
    purpose: str
    capabilities: tuple[str, ...]
    source: str
    model: str = ""
    tools: tuple[str, ...] = ()
    tasks: int = 0
    success: float | None = None
    load: int = 0
    capacity: int = 1
    latency: float = 0.0
    last_sign: float | None = None
    last_error: str = ""
    lacking: tuple[str, ...] = ()
    stopped: str = ""


def rows_of(roster: Roster, fleet: Fleet) -> list[AgentRow]:
    """Roles first, then the agents of the fleet by namespace and name."""
    roles = [_of_role(card) for card in roster.cards.values()]
    return [*roles, *(row_of(fleet, key) for key in sorted(fleet.agents))]


def row_of(fleet: Fleet, key: Key) -> AgentRow:
    """An agent of the fleet."""
    one, health = fleet.agents[key], fleet.health(key)
    manifest = one.manifest
    return AgentRow(
        manifest.name,
        one.namespace,
        manifest.kind,
        manifest.version,
        one.revision,
        one.generation,
        fleet.standing(key).value,
        manifest.purpose,
        manifest.capabilities,
        _source(one),
        model=manifest.model,
        capacity=manifest.limits.concurrency,
        **_fares(health),
    )


def key_of(name: str, fleet: Fleet) -> Key:
    """The agent a person means by ``NAME`` or ``NAMESPACE/NAME``.

    Raises:
        NotFound: there is none; for a role, that this is for programs.
    """
    namespace, _, last = name.rpartition("/")
    if (namespace, last) in fleet.agents:
        return namespace, last
    if name in load_roster().cards:
        raise NotFound(f"{name} is a role of the roster, not a program.", remedy="A role is always there.")
    raise NotFound(f"There is no agent {name!r}.", remedy="See `bullpen agents`.")


def described(fleet: Fleet, repo: Path | None, name: str) -> dict[str, object]:
    """All that is known of one agent or role.

    Raises:
        NotFound: there is none of that name.
    """
    roster = load_roster(repo)
    if name in roster.cards:
        return asdict(_of_role(roster.cards[name]))
    key = key_of(name, fleet)
    one, health = fleet.agents[key], fleet.health(key)
    skills = {skill: f"{tally.well} of {tally.tried} came out well" for skill, tally in health.skills}
    return {**asdict(row_of(fleet, key)), "limits": asdict(one.manifest.limits), "skills": skills}


def print_rows(rows: Sequence[AgentRow], quarantined: Sequence[Any]) -> None:
    """A table, and what was set aside."""
    table = new_table("agent", "kind", "version", "standing", ">success", ">load", "purpose")
    for one in rows:
        version = one.version if not one.revision else f"{one.version}+{one.revision[:7]}"
        where = f"{one.namespace}/{one.name}" if one.namespace else one.name
        load = f"{one.load}/{one.capacity}" if one.kind != ROLE else ""
        why = one.stopped or (one.last_error if one.standing != "ready" else "")
        purpose = f"{one.purpose} ({why})" if why else one.purpose
        table.add_row(
            printable(where), one.kind, version, one.standing, _percent(one), load, printable(purpose)
        )
    open_console().print(table)
    for one in quarantined:
        _print_quarantined(one)


def print_described(value: Mapping[str, object]) -> None:
    """One line for each thing that is known."""
    for name, known in value.items():
        shown = known
        if isinstance(known, Mapping):
            shown = ", ".join(f"{key} {one}" for key, one in known.items() if one is not None)  # pyright: ignore[reportUnknownVariableType]
        elif isinstance(known, tuple):
            shown = ", ".join(map(str, known))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        elif name == "last_sign" and isinstance(known, float):
            shown = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(known))
        if shown not in ("", None):
            click.echo(f"{name:<13} {printable(str(shown))}")


def print_checkups(checkups: Mapping[Key, Checkup]) -> None:
    """Who is well, and what those lack that are not."""
    table = new_table("agent", "well", ">seconds", "what was found")
    for (namespace, name), one in sorted(checkups.items()):
        where = f"{namespace}/{name}" if namespace else name
        table.add_row(
            printable(where), "yes" if one.alive else "no", f"{one.seconds:.2f}", printable(one.error)
        )
    open_console().print(table)


def _print_quarantined(one: Quarantined) -> None:
    from rich.text import Text

    line = printable(f"set aside: {one.source}: {one.reason}")
    open_console().print(Text(line, "yellow"), soft_wrap=True)


def _of_role(card: Card) -> AgentRow:
    return AgentRow(
        card.name,
        "",
        ROLE,
        "",
        "",
        1,
        "ready",
        card.purpose,
        card.capabilities,
        card.source,
        card.model,
        card.tools,
    )


def _fares(health: Health) -> dict[str, Any]:
    return {
        "tasks": health.tasks.tried,
        "success": health.tasks.well / health.tasks.tried if health.tasks.tried else None,
        "load": health.running,
        "latency": health.latency,
        "last_sign": health.last_sign,
        "last_error": health.last_error,
        "lacking": health.lacking,
        "stopped": health.stopped,
    }


def _source(one: Registration) -> str:
    return str(one.folder / one.entry) if one.folder != Path() else one.manifest.url


def _percent(one: AgentRow) -> str:
    return "" if one.success is None else f"{one.success:.0%} of {one.tasks}"
