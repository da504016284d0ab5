"""Writes the reference page of the command line: ``python -m bullpen.cli.reference [FILE]``."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from bullpen.cli.failing import EXIT_STATUSES
from bullpen.cli.main import COMMANDS, command

PAGE = Path("docs/reference/cli.md")
_HEAD = """\
# The command line

Results go to stdout, everything else to stderr. With `--json`, stdout is one JSON object (`sessions replay --json`
writes one a line); an error is `{"error": …, "sentence": …, "remedy": …}`. On a terminal, `improve` draws a live tree;
on a pipe, with `NO_COLOR`, or with `TERM=dumb`, it writes a line for each event that matters; with `--quiet`, nothing.

Bullpen keeps its data in `$BULLPEN_HOME` (`~/.local/state/bullpen`).

This page is made from the commands: `python -m bullpen.cli.reference`.
"""


def reference_page() -> str:
    """The whole page, as Markdown."""
    rows = [f"| {status} | {meaning} |" for status, meaning in EXIT_STATUSES]
    parts = [_HEAD, "## Exit statuses\n", "\n".join(["| status | meaning |", "| ---: | --- |", *rows]) + "\n"]
    root = click.Context(command, info_name="bullpen")
    for name in COMMANDS.names():
        parts += _sections(COMMANDS.load(name), name, root, level=2)
    return "\n".join(parts)


def _sections(one: click.Command, name: str, parent: click.Context, level: int) -> Iterator[str]:
    context = click.Context(one, info_name=name, parent=parent)
    yield f"{'#' * level} `{context.command_path}`\n"
    yield f"```text\n{' '.join([context.command_path, *one.collect_usage_pieces(context)])}\n```\n"
    if one.help:
        yield f"{one.help}\n"
    if options := list(_options(one, context)):
        yield "\n".join(options) + "\n"
    if isinstance(one, click.Group):
        for child in one.list_commands(context):
            if found := one.get_command(context, child):
                yield from _sections(found, child, context, level + 1)


def _options(one: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in one.params:
        record = parameter.get_help_record(context)
        if record:
            yield f"- `{record[0]}`: {record[1]}"


def main(arguments: list[str]) -> None:
    """Write the page to the named file, or to its place in the repository at hand."""
    page = Path(arguments[0]) if arguments else PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(reference_page(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
