"""See how often the judge decides as people did, on labelled changes of one's own."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bullpen.cli.arguments import json_option

if TYPE_CHECKING:
    from bullpen.flow.calibration.calibrate import Calibration, Judged


@click.group()
def judge() -> None:
    """What decides whether a change is kept."""


@judge.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--quiet", is_flag=True, help="Print only the result.")
@json_option
def calibrate(folder: Path, quiet: bool, as_json: bool) -> int:
    """Decide about every labelled change of FOLDER, and compare. Status 1 if one labelled bad would be kept.

    FOLDER/project/NAME.toml holds the project: a table `files`, PATH = CONTENT, and above it, if its tests need any,
    `plugins`, a list of modules of pytest plugins. FOLDER/*.toml hold the changes: `[[change]]` with `name`, `good`
    (true or false), `why`, `rule` and `path` of the finding it is about (and `line`, if there are several), and
    `[[change.edit]]` with `path`, `old` and `new`: without `old` the whole file is written, without `new` it goes.
    Tests run in the sandbox with Bullpen's own Python and what is installed beside it.
    """
    found = asyncio.run(_decide(folder, quiet=quiet or as_json))
    if as_json:
        _print_json(found)
    else:
        _print(found)
    return 1 if found.false_accepts else 0


async def _decide(folder: Path, *, quiet: bool) -> "Calibration":
    from tempfile import TemporaryDirectory

    from bullpen.flow.calibration.calibrate import calibrate as decide
    from bullpen.flow.calibration.court import open_court
    from bullpen.flow.calibration.labelled import read_set
    from bullpen.kernel.settings import read_settings

    labelled = read_set(folder)
    with TemporaryDirectory() as home:
        settings = read_settings().model_copy(update={"home": Path(home)})
        async with open_court(settings, labelled) as court:
            return await decide(court, labelled.changes, _hide if quiet else _tell)


def _tell(judged: "Judged") -> None:
    from bullpen.cli.output import printable

    click.echo(f"{'✓' if judged.as_labelled else '✗'} {printable(judged.change.name)}", err=True)


def _hide(_judged: "Judged") -> None:
    pass


def _print(found: "Calibration") -> None:
    from rich.text import Text

    from bullpen.cli.output import new_table, open_console, printable

    table = new_table("change", "label", "ruling", "decided by")
    for one in found.judged:
        style = "" if one.as_labelled else "bold red"
        gate = one.decided_by
        words = (one.change.name, _label(one), one.verdict.ruling.value, gate.name if gate else "every gate")
        table.add_row(*(Text(printable(word), style) for word in words))
    console = open_console()
    console.print(table)
    console.print(_sum(found), soft_wrap=True)


def _label(judged: "Judged") -> str:
    return "good" if judged.change.good else "bad"


def _sum(found: "Calibration") -> str:
    return (
        f"{len(found.judged)} changes, {found.accuracy:.1%} decided as labelled; "
        f"{len(found.false_accepts)} bad would be kept, {len(found.false_refusals)} good would not."
    )


def _print_json(found: "Calibration") -> None:
    from bullpen.cli.output import print_json

    rows = [
        {
            "name": one.change.name,
            "label": _label(one),
            "ruling": one.verdict.ruling.value,
            "as_labelled": one.as_labelled,
            "decided_by": one.decided_by.name if one.decided_by else None,
            "must_change": one.verdict.must_change,
        }
        for one in found.judged
    ]
    print_json({"accuracy": found.accuracy, "false_accepts": len(found.false_accepts), "changes": rows})


COMMAND = judge
