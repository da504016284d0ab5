"""Events to and from their stored form: the class name is the type, the body is JSON."""

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from pydantic import TypeAdapter

import bullpen.domain.events as areas
from bullpen.domain.errors import NotFound
from bullpen.domain.events import Event
from bullpen.kernel.json_text import dump, load


@cache
def event_types() -> dict[str, type[Event]]:
    """Every event type by name, from the files in ``domain/events``."""
    for module in pkgutil.iter_modules(areas.__path__):
        importlib.import_module(f"{areas.__name__}.{module.name}")
    # a dataclass with slots replaces its first form, which is still known as a subclass for a while
    return {kind.__name__: kind for kind in Event.__subclasses__() if "__slots__" in vars(kind)}


@cache
def _adapter(kind: type[Event]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def encode(event: Event) -> str:
    """Its body as JSON text. Lone surrogates of odd file names are kept as escapes."""
    return dump(_adapter(type(event)), event)


def decode(name: str, body: str) -> Event:
    """The event back.

    Raises:
        NotFound: no such type; the log was written by a newer version.
    """
    return _reader(name)(body)


@cache
def _reader(name: str) -> Callable[[str], Event]:
    kind = event_types().get(name)
    if kind is None:
        raise NotFound(
            f"The log holds an event of type {name!r}, which this version does not know.",
            remedy="Use the newer Bullpen that wrote it.",
        )
    return partial(load, _adapter(kind))
