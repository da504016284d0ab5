"""What a model says against the data of a file, in words and with the place where it stands."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bullpen.kernel.yaml_places import Document, Fault, KeyPath


def shape_faults(
    document: Document, error: ValidationError, names: Sequence[str], above: KeyPath = ()
) -> Iterator[Fault]:
    """Every fault of the data at ``above``; ``names`` are the words that are known there.

    Below the top, what is of another type only because it is an expression still is none.
    """
    for one in error.errors(include_url=False):
        if above and _is_filled_in_later(one):
            continue
        path = (*above, *one["loc"])
        yield document.fault(path, *_words(one, path, names))


def field_names(model: type[BaseModel]) -> list[str]:
    """What the fields of a model are called in a file."""
    return [field.alias or name for name, field in model.model_fields.items()]


def in_order(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """As they stand in the file."""
    return tuple(sorted(faults, key=lambda one: (one.line, one.column)))


def _is_filled_in_later(one: ErrorDetails) -> bool:
    return one["type"] != "value_error" and isinstance(one["input"], str) and "${{" in one["input"]


def _words(one: ErrorDetails, path: KeyPath, names: Sequence[str]) -> tuple[str, str]:
    name = str(path[-1]) if path else ""
    if one["type"] == "extra_forbidden":
        near = get_close_matches(name, names, n=1)
        return f"{name!r} is not known here.", f"Did you mean {near[0]!r}?" if near else "Take it out."
    if one["type"] == "missing":
        return f"{name!r} is missing.", f"Add {name}."
    said = one["msg"].removeprefix("Value error, ")
    return f"{_shown(path)}: {said[:1].lower()}{said[1:].rstrip('.')}.", "Mend the value."


def _shown(path: KeyPath) -> str:
    return ".".join(map(str, path)) or "the file"
