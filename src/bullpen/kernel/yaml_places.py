"""YAML whose every value knows its line and column, so that a fault can be shown where it stands.

Booleans and numbers are those of YAML 1.2: ``on`` and ``yes`` are words, ``12:30`` is one too, and dates stay text.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import yaml

from bullpen.domain.errors import InvalidInput, LimitExceeded

LARGEST = 1_000_000  # characters of a file people write
MOST_VALUES = 50_000
DEEPEST = 100

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value begins; both start at 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file, where, and what to do."""

    where: str
    line: int
    column: int
    sentence: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.where}, line {self.line}, column {self.column}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document: plain data, and where each key path stands."""

    where: str
    data: Any
    places: Mapping[KeyPath, Place]

    def fault(self, path: Sequence[str | int], sentence: str, remedy: str = "") -> Fault:
        """A fault at a key path, or at what is nearest above it."""
        place = self.place(path)
        return Fault(self.where, place.line, place.column, sentence, remedy)

    def place(self, path: Sequence[str | int]) -> Place:
        """Where a key path stands; where it does not, its nearest known ancestor."""
        known = (tuple(path[:length]) for length in range(len(path), -1, -1))
        return next((self.places[one] for one in known if one in self.places), Place(1, 1))


def refuse(faults: Sequence[Fault]) -> InvalidInput:
    """The error for a file with faults: the first one, and how many more there are."""
    first, more = faults[0], len(faults) - 1
    rest = f" {more} more fault{'s' if more > 1 else ''} in it." if more else ""
    return InvalidInput(f"{first}{rest}", remedy=first.remedy or "Mend the file.", code="faulty-file")


def read_document(text: str, where: str) -> Document:
    """Parse one document.

    Raises:
        InvalidInput: it is not YAML, a key is there twice, or it refers to itself; line and column are named.
        LimitExceeded: it is larger than files people write.
    """
    if len(text) > LARGEST:
        raise LimitExceeded(f"{where} is larger than {LARGEST:,} characters.")
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        places = _places(root, where)
        data = cast("Any", loader).construct_document(root) if root is not None else None
    except yaml.YAMLError as error:
        raise _unreadable(error, where) from error
    except (RecursionError, ValueError) as error:
        raise InvalidInput(f"{where}, line 1, column 1: this cannot be read: {error}.") from error
    return Document(where, data, places)


def _unreadable(error: yaml.YAMLError, where: str) -> InvalidInput:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    fault = Fault(where, line, column, f"this is not YAML: {problem}.", "Mend the file.")
    return refuse([fault])


class _Loader(yaml.SafeLoader):
    """Plain data by the core schema of YAML 1.2; keys are text."""


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    rules = (
        ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("tag:yaml.org,2002:int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
        ("tag:yaml.org,2002:float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
        ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN"),
        ("tag:yaml.org,2002:merge", r"<<", "<"),
    )
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, first in rules:
        for letter in (*first, *([""] if tag.endswith("null") else [])):
            found.setdefault(letter, []).append((tag, re.compile(rf"(?:{pattern})$")))
    return found


_Loader.yaml_implicit_resolvers = _resolvers()


def _places(root: yaml.Node | None, where: str) -> dict[KeyPath, Place]:
    places: dict[KeyPath, Place] = {}
    for path, node in _walk(root, (), where) if root is not None else ():
        if len(places) >= MOST_VALUES:
            raise LimitExceeded(f"{where} holds more than {MOST_VALUES:,} values.", remedy="Split it.")
        places[path] = Place(node.start_mark.line + 1, node.start_mark.column + 1)
    return places


def _walk(node: yaml.Node, path: KeyPath, where: str) -> Iterator[tuple[KeyPath, yaml.Node]]:
    """Values, and of a mapping's entries where their keys stand: there a person looks."""
    if not path:
        yield path, node
    if len(path) > DEEPEST:
        mark = node.start_mark
        deep = f"this is nested more than {DEEPEST} deep, or refers to itself."
        raise refuse([Fault(where, mark.line + 1, mark.column + 1, deep)])
    for key, shown, value in _children(node, where):
        yield (*path, key), shown
        yield from _walk(value, (*path, key), where)


def _children(node: yaml.Node, where: str) -> Iterator[tuple[str | int, yaml.Node, yaml.Node]]:
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(cast("list[yaml.Node]", node.value)):
            yield number, item, item
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            name = _key(key, seen, where)
            seen.add(name)
            yield name, key, value


def _key(key: yaml.Node, seen: set[str], where: str) -> str:
    mark = key.start_mark
    if not isinstance(key, yaml.ScalarNode):
        raise refuse([Fault(where, mark.line + 1, mark.column + 1, "a key must be a word.")])
    name = str(key.value)
    if name in seen and name != "<<":
        raise refuse([Fault(where, mark.line + 1, mark.column + 1, f"the key {name!r} is there twice.")])
    if not key.tag.endswith("merge"):
        key.tag = "tag:yaml.org,2002:str"
    return name
