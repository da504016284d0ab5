"""What a project says of its own architecture, in the words of import-linter: read from its files, never run.

See https://import-linter.readthedocs.io/en/stable/contract_types/. Layers, forbidden and independence are understood;
contracts of other types, and settings that cannot be read, are passed over.
"""

import configparser
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

FILES = ("setup.cfg", ".importlinter", "pyproject.toml")  # in the order in which import-linter looks
_SECTION = "importlinter"
_CONTRACT = "importlinter:contract:"
_TRUE = frozenset({"true", "1", "yes"})


@dataclass(frozen=True, slots=True)
class Layer:
    """Modules at one height. Where they are ``independent`` they may not import each other either."""

    modules: tuple[str, ...]
    independent: bool


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract. ``layers`` go from top to bottom; ``ignored`` are pairs of expressions for importer and imported."""

    name: str
    type: str
    layers: tuple[Layer, ...] = ()
    containers: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()
    indirect: bool = True


@dataclass(frozen=True, slots=True)
class Contracts:
    """All contracts of a project, and the packages they speak of."""

    roots: tuple[str, ...] = ()
    contracts: tuple[Contract, ...] = field(default=())
    typing_counts: bool = True  # imports that only type checkers read


def read_contracts(file: str, text: str) -> Contracts:
    """The contracts in one of ``FILES``; none at all if it holds none or cannot be read."""
    own, tables = _toml(text) if file.endswith(".toml") else _ini(text)
    roots = (*_words(own.get("root_package")), *_words(own.get("root_packages")))
    contracts = (_contract(table) for table in tables)
    return Contracts(
        roots,
        tuple(each for each in contracts if each is not None) if roots else (),
        not _is_true(own.get("exclude_type_checking_imports")),
    )


def _toml(text: str) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    try:
        own = _table(_table(tomllib.loads(text).get("tool")).get(_SECTION))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}, ()
    contracts = own.get("contracts")
    return own, [_table(each) for each in cast("list[object]", contracts)] if isinstance(
        contracts, list
    ) else ()


def _ini(text: str) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}, ()
    own = dict(parser[_SECTION]) if _SECTION in parser else {}
    return own, [dict(parser[name]) for name in parser.sections() if name.startswith(_CONTRACT)]


def _contract(table: Mapping[str, Any]) -> Contract | None:
    kind = table.get("type")
    make = _KINDS.get(kind) if isinstance(kind, str) else None
    return make(table, str(table.get("name") or kind)) if make else None


def _layers(table: Mapping[str, Any], name: str) -> Contract:
    layers = tuple(_layer(words) for words in _words(table.get("layers")))
    return Contract(
        name, "layers", layers, _words(table.get("containers")) or ("",), ignored=tuple(_ignored(table))
    )


def _layer(words: str) -> Layer:
    independent = ":" not in words
    parts = words.split("|" if independent else ":")
    return Layer(tuple(part.strip().strip("()").strip() for part in parts), independent)


def _forbidden(table: Mapping[str, Any], name: str) -> Contract:
    return Contract(
        name,
        "forbidden",
        sources=_words(table.get("source_modules")),
        targets=_words(table.get("forbidden_modules")),
        ignored=tuple(_ignored(table)),
        indirect=not _is_true(table.get("allow_indirect_imports")),
    )


def _independence(table: Mapping[str, Any], name: str) -> Contract:
    layer = Layer(_words(table.get("modules")), independent=True)
    return Contract(name, "independence", (layer,), ("",), ignored=tuple(_ignored(table)))


def _ignored(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for words in _words(table.get("ignore_imports")):
        importer, arrow, imported = words.partition("->")
        if arrow:
            yield importer.strip(), imported.strip()


def _words(value: object) -> tuple[str, ...]:
    """A list, or one to each line."""
    if isinstance(value, str):
        return tuple(line.strip() for line in value.splitlines() if line.strip())
    items = cast("list[object]", value) if isinstance(value, list) else []
    return tuple(item.strip() for item in items if isinstance(item, str))


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() in _TRUE)


def _table(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def pattern(expression: str) -> re.Pattern[str]:
    """A module expression: ``*`` stands for one part of a name, ``**`` for any number."""
    parts = (_PARTS.get(part) or re.escape(part) for part in expression.split("."))
    return re.compile(r"\.".join(parts))


_PARTS = {"*": r"[^.]+", "**": r"[^.]+(?:\.[^.]+)*"}
_KINDS: Mapping[str, Callable[[Mapping[str, Any], str], Contract]] = {
    "layers": _layers,
    "forbidden": _forbidden,
    "independence": _independence,
}
