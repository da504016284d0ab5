"""The cells of a matrix, as GitHub's documentation says: the product, less ``exclude``, then ``include``."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

Cell = Mapping[str, Any]
MOST_CELLS = 256  # GitHub's own limit


def expand(
    axes: Mapping[str, Sequence[Any]], include: Sequence[Cell] = (), exclude: Sequence[Cell] = ()
) -> tuple[Cell, ...]:
    """All cells, in GitHub's order; one empty cell where there is nothing.

    An entry of ``include`` is added to every cell of the product whose own values it does not overwrite; if there is none, it
    is a cell of its own.
    """
    names = list(axes)
    full = [dict(zip(names, values, strict=True)) for values in product(*axes.values())] if axes else []
    base = [cell for cell in full if not any(_covers(one, cell) for one in exclude)]
    cells = [dict(cell) for cell in base]
    alone: list[dict[str, Any]] = []
    for entry in include:
        fitting = [number for number, cell in enumerate(base) if _fits(entry, cell)]
        for number in fitting:
            cells[number].update(entry)
        if not fitting:
            alone.append(dict(entry))
    found = (*cells, *alone)
    return found or (() if axes or include else ({},))


def _covers(part: Cell, cell: Cell) -> bool:
    return all(name in cell and cell[name] == value for name, value in part.items())


def _fits(entry: Cell, cell: Cell) -> bool:
    """Whether it adds to the cell without overwriting one of its original values."""
    return all(name not in cell or cell[name] == value for name, value in entry.items())


def label(name: str, cell: Cell) -> str:
    """``test (3.12, ubuntu-latest)``."""
    values = ", ".join(_shown(value) for value in cell.values())
    return f"{name} ({values})" if values else name


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(_shown(one) for one in value.values())  # pyright: ignore[reportUnknownVariableType]
    return str(value)
