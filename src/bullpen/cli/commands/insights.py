"""See what finished runs teach: what works for which items, how agents do, and settings that follow."""

from typing import TYPE_CHECKING, TypeVar

import click

from bullpen.cli.arguments import change_records, full_path, json_option, read_records

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bullpen.cli.insight_rows import Known, SettingRow
    from bullpen.domain.tuning import Tuned
    from bullpen.insights.queries import Tuning
    from bullpen.kernel.storage.unit_of_work import UnitOfWork

T = TypeVar("T")
FACTORS = ("agent", "role", "model", "recipe", "rule", "size", "shape")

project_option = click.option(
    "--repo", default="", metavar="PATH|URL", help="Only runs of this repository; otherwise of all."
)


@click.group(invoke_without_command=True)
@project_option
@json_option
@click.pass_context
def insights(context: click.Context, repo: str, as_json: bool) -> int:
    """What finished improve sessions teach. Without a command: agents, patterns and settings, one after the other."""
    if context.invoked_subcommand is not None:
        return 0
    from bullpen.cli.insight_rows import (
        agent_rows,
        pattern_rows,
        print_agents,
        print_patterns,
        print_settings,
    )
    from bullpen.cli.output import print_json

    known = _known(repo)
    agents, patterns, rows = agent_rows(known.runs, "agent"), pattern_rows(known.runs), _settings(known)
    if as_json:
        print_json({"runs": len(known.runs), "agents": agents, "patterns": patterns, "settings": rows})
        return 0
    print_agents(agents, "agent")
    print_patterns(patterns, known.runs)
    print_settings(rows, adapting=_is_adapting())
    return 0


@insights.command()
@project_option
@json_option
def patterns(repo: str, as_json: bool) -> int:
    """What went surely better, or worse, than all else of its kind: by plan, agent, model, recipe, rule and size."""
    from bullpen.cli.insight_rows import pattern_rows, print_patterns
    from bullpen.cli.output import print_json

    known = _known(repo)
    rows = pattern_rows(known.runs)
    if as_json:
        print_json(rows)
    else:
        print_patterns(rows, known.runs)
    return 0


@insights.command()
@click.option(
    "--by",
    type=click.Choice(FACTORS),
    default="agent",
    show_default=True,
    help="What runs are told apart by.",
)
@project_option
@json_option
def agents(by: str, repo: str, as_json: bool) -> int:
    """How often they succeed, with the interval their true share is in, their time and cost, and where it goes."""
    from bullpen.cli.insight_rows import agent_rows, print_agents
    from bullpen.cli.output import print_json

    rows = agent_rows(_known(repo).runs, by)
    if as_json:
        print_json(rows)
    else:
        print_agents(rows, by)
    return 0


@insights.command()
@json_option
def settings(as_json: bool) -> int:
    """The settings that follow what was measured, where BULLPEN_ADAPT is on: what holds, since when, and why."""
    from bullpen.cli.insight_rows import print_settings
    from bullpen.cli.output import print_json

    rows = _settings(_known(""))
    if as_json:
        print_json(rows)
    else:
        print_settings(rows, adapting=_is_adapting())
    return 0


@insights.command()
@click.argument("name")
@click.argument("value", default="")
def pin(name: str, value: str) -> int:
    """Hold the setting NAME at VALUE, or as it is: it is not adapted any more. An order is written A, B, C."""
    from bullpen.insights.actions import pin_setting

    return _decided(name, lambda uow, plain: pin_setting(uow, name, value, plain), "is pinned at")


@insights.command()
@click.argument("name")
def release(name: str) -> int:
    """Let the setting NAME, which was pinned, follow the measurements again."""
    from bullpen.insights.actions import release_setting

    return _decided(name, lambda uow, plain: release_setting(uow, name, plain), "may be adapted, from")


@insights.command()
@click.argument("name")
def undo(name: str) -> int:
    """Give the setting NAME the value it had before, and pin it there."""
    from bullpen.insights.actions import undo_setting

    return _decided(name, lambda uow, plain: undo_setting(uow, name, plain), "is again, and pinned at,")


def _decided(name: str, decide: "Callable[[UnitOfWork, Tuned], Awaitable[Tuning]]", words: str) -> int:
    from bullpen.cli.output import printable
    from bullpen.insights.actions import catch_up
    from bullpen.insights.named import values_of

    plain = _plain()

    async def body(uow: "UnitOfWork") -> "Tuning":
        await catch_up(uow)
        return await decide(uow, plain)

    value = values_of(change_records(body).settings).get(name) or "no order"
    click.echo(f"{printable(name)} {words} {printable(value)}.", err=True)
    return 0


def _known(repo: str) -> "Known":
    """What is known, with the sessions that have ended since taken in."""
    from bullpen.cli.insight_rows import Known
    from bullpen.insights.actions import catch_up
    from bullpen.insights.queries import find_tuning, list_changes, list_runs

    async def ask(uow: "UnitOfWork") -> "Known":
        runs = await list_runs(uow, project=full_path(repo) if repo else "")
        return Known(runs, await find_tuning(uow), await list_changes(uow))

    if read_records(_is_behind):
        change_records(catch_up)
    return read_records(ask)


async def _is_behind(uow: "UnitOfWork") -> bool:
    """Whether a session ended that was not taken in: to look is then not enough."""
    from bullpen.insights.queries import sessions_to_learn

    return bool(await sessions_to_learn(uow))


def _settings(known: "Known") -> "list[SettingRow]":
    from bullpen.cli.insight_rows import setting_rows

    return setting_rows(known, _plain())


def _plain() -> "Tuned":
    from bullpen.flow.improve.means import settings_as_set
    from bullpen.kernel.settings import read_settings

    return settings_as_set(read_settings())


def _is_adapting() -> bool:
    from bullpen.kernel.settings import read_settings

    return read_settings().adapt


COMMAND = insights
