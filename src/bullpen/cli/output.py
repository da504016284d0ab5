"""What is printed and how: results on stdout, everything else on stderr, and no control character of a repository."""

import dataclasses
import json
import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from bullpen.domain.finding import Severity

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SEVERITY_STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
    Severity.INFO: "dim",
}


def printable(text: str) -> str:
    """One line that cannot steer a terminal: what is not printable, line breaks included, becomes a space or ``?``."""
    return "".join(mark if mark.isprintable() else " " if mark.isspace() else "?" for mark in text)


def print_json(value: object) -> None:
    """One JSON value on stdout; dataclasses become objects."""
    click.echo(json.dumps(_plain(value), indent=2))


def json_line(value: object) -> str:
    """The same in one line of text."""
    return json.dumps(_plain(value))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Severity):
        return value.name.lower()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def is_plain(stream: TextIO) -> bool:
    """Whether nothing may move or be coloured there: a pipe, NO_COLOR, or a terminal that cannot."""
    return not stream.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "dumb") == "dumb"


def open_console(stream: TextIO | None = None) -> "Console":
    """A console on stdout, or on the stream given; without colour where that is not wanted."""
    from rich.console import Console

    target = stream or sys.stdout
    plain = is_plain(target)
    return Console(
        file=target,
        color_system=None if plain else "auto",
        highlight=False,
        markup=False,
        emoji=False,
        width=None if target.isatty() else 110,
    )


def new_table(*headings: str, title: str = "") -> "Table":
    """An empty table in the house's style; a heading that starts with ``>`` is aligned to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for heading in headings:
        justify = "right" if heading.startswith(">") else "left"
        table.add_column(heading.removeprefix(">"), justify=justify, overflow="fold")
    return table


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def counted(number: int, noun: str) -> str:
    """``1 item``, ``3 items``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
