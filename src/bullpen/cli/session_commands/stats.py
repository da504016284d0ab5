"""Figures of sessions: one by one, two side by side, and over time."""

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import full_path, json_option, read_records, session_named
from bullpen.domain.errors import InvalidInput

if TYPE_CHECKING:
    from bullpen.domain.session import Session
    from bullpen.kernel.storage.unit_of_work import UnitOfWork
    from bullpen.sessions.analytics import Change, Period, SessionStats

MOST_SESSIONS = 10_000
_FORMULA = ("=", "+", "-", "@")


@click.command()
@click.argument("names", metavar="[SESSION]...", nargs=-1)
@click.option("--project", default="", help="Only those of this repository.")
@click.option("--archived", is_flag=True, help="Those that were archived.")
@click.option("--by", type=click.Choice(["day", "week", "month"]), help="Sums over time, by when they began.")
@click.option("--csv", "as_csv", is_flag=True, help="Print one row a session (or period) as CSV.")
@json_option
def stats(
    names: tuple[str, ...], project: str, archived: bool, by: str | None, as_csv: bool, as_json: bool
) -> int:
    """Duration, steps, tokens, cost, success and rework; two SESSIONs are compared. Idle time does not count."""
    from bullpen.sessions.analytics import Span, compare, over_time

    if as_csv and as_json:
        raise InvalidInput("--json and --csv exclude each other.", remedy="Choose one.")
    found = read_records(lambda uow: _figures(uow, names, project, archived=archived))
    periods = over_time(found, Span(by)) if by else ()
    compared = compare(found[0], found[1]) if len(names) == 2 else ()
    if as_csv:
        click.echo(_csv(_period_rows(periods) if by else [_row(one) for one in found]), nl=False)
    elif as_json:
        _print_json(found, periods, compared)
    else:
        _print_words(found, periods, compared, by=by)
    return 0


async def _figures(
    uow: "UnitOfWork", names: Sequence[str], project: str, *, archived: bool
) -> "list[SessionStats]":
    from bullpen.cli.watching import whole_history
    from bullpen.sessions.analytics import stats_of

    chosen = await _chosen(uow, names, project, archived=archived)
    return [stats_of(await whole_history(uow, one.id)) for one in chosen]


async def _chosen(
    uow: "UnitOfWork", names: Sequence[str], project: str, *, archived: bool
) -> "Sequence[Session]":
    from bullpen.sessions.queries import list_sessions

    if names:
        return [await session_named(uow, name) for name in names]
    wanted = full_path(project) if project else ""
    return await list_sessions(uow, project=wanted, archived=archived, limit=MOST_SESSIONS)


# --- for programs -----------------------------------------------------------------------------------------------------


def _row(one: "SessionStats") -> dict[str, object]:
    from bullpen.sessions.analytics import MEASURES, measure
    from bullpen.vcs.git import redact

    return {
        "session": one.session,
        "project": redact(one.project),
        "stage": one.stage,
        "began_at": one.began_at,
        "ended_at": one.ended_at,
        **{name: _rounded(measure(one, name)) for name in MEASURES},
        "input_tokens": one.input_tokens,
        "output_tokens": one.output_tokens,
    }


def _rounded(value: float | None) -> float | None:
    return round(value, 6) if isinstance(value, float) else value


def _period_rows(periods: "Sequence[Period]") -> list[dict[str, object]]:
    from dataclasses import fields

    return [
        {
            "cost_usd" if field.name == "cost" else field.name: one.cost.micro_usd / 1_000_000
            if field.name == "cost"
            else getattr(one, field.name)
            for field in fields(one)
        }
        for one in periods
    ]


def _csv(rows: Sequence[dict[str, object]]) -> str:
    """RFC 4180, with a heading; a text that a spreadsheet would take for a formula is marked as text."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _print_json(
    found: "Sequence[SessionStats]", periods: "Sequence[Period]", compared: "Sequence[Change]"
) -> None:
    from bullpen.cli.output import print_json

    sessions = [
        {**_row(one), "stages": dict(one.stages), "agents": dict(one.agents), "tools": dict(one.tools)}
        for one in found
    ]
    changes = [
        {
            "measure": one.measure,
            "first": _rounded(one.first),
            "second": _rounded(one.second),
            "ratio": _rounded(one.ratio),
        }
        for one in compared
    ]
    print_json({"sessions": sessions, "periods": _period_rows(periods), "compared": changes})


# --- for people -------------------------------------------------------------------------------------------------------


def _print_words(
    found: "Sequence[SessionStats]",
    periods: "Sequence[Period]",
    compared: "Sequence[Change]",
    *,
    by: str | None,
) -> None:
    if not found:
        click.echo("There is no session. Start with `bullpen improve PATH`.", err=True)
    elif by:
        _print_periods(periods, by)
    elif compared:
        _print_comparison(found, compared)
    else:
        _print_sessions(found)
        if len(found) == 1:
            _print_where_time_went(found[0])


def _print_sessions(found: "Sequence[SessionStats]") -> None:
    from bullpen.cli.output import duration, new_table, open_console

    headings = (
        "session",
        "stage",
        ">worked",
        ">idle",
        ">steps",
        ">tokens",
        ">cost",
        ">done",
        ">success",
        ">rework",
    )
    table = new_table(*headings)
    for one in found:
        table.add_row(
            one.session,
            one.stage,
            duration(one.seconds),
            duration(one.idle_seconds),
            f"{one.steps:,}",
            f"{one.tokens:,}",
            str(one.cost),
            f"{one.done} of {one.items}",
            _share(one.success),
            f"{one.rework}",
        )
    open_console().print(table)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _print_where_time_went(one: "SessionStats") -> None:
    from bullpen.cli.output import duration, printable

    for title, parts in (("stage", one.stages), ("agents", one.agents), ("tools", one.tools)):
        spent = ", ".join(f"{name} {duration(seconds)}" for name, seconds in list(parts.items())[:8])
        if spent:
            click.echo(printable(f"time by {title}: {spent}"))


def _print_comparison(found: "Sequence[SessionStats]", compared: "Sequence[Change]") -> None:
    from bullpen.cli.output import new_table, open_console

    table = new_table("measure", f">{found[0].session}", f">{found[1].session}", ">times")
    for one in compared:
        ratio = "-" if one.ratio is None else f"{one.ratio:.2f}"
        table.add_row(one.measure, _number(one.first), _number(one.second), ratio)
    open_console().print(table)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}".removesuffix(".00")


def _print_periods(periods: "Sequence[Period]", by: str) -> None:
    from bullpen.cli.output import duration, new_table, open_console

    headings = (by, ">sessions", ">completed", ">median", ">cost", ">done", ">success", ">rework")
    table = new_table(*headings)
    for one in periods:
        table.add_row(
            one.period,
            f"{one.sessions}",
            f"{one.completed}",
            duration(one.median_seconds),
            str(one.cost),
            f"{one.done} of {one.items}",
            _share(one.success),
            f"{one.rework}",
        )
    open_console().print(table)
