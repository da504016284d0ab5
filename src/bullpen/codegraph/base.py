"""What is known of one file of code by reading only it, and what a language must offer."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bullpen.kernel.extend import ExtensionPoint


class Moment(StrEnum):
    """When an import runs."""

    LOAD = "load"  # when the importing module is loaded
    CALL = "call"  # when a function of it is called
    TYPING = "typing"  # never: only type checkers read it


@dataclass(frozen=True, slots=True)
class Definition:
    """A symbol: its name with those around it (``Class.method``), its kind in the language's own word, its lines."""

    name: str
    kind: str
    line: int
    last: int


@dataclass(frozen=True, slots=True)
class Call:
    """A place where something is called: the last part of its name, how it is written, and in which symbol."""

    name: str
    written: str
    line: int
    inside: str  # empty where it runs on loading


@dataclass(frozen=True, slots=True)
class ImportWords:
    """An import as it is written. ``names`` are those of ``from module import names``, ``level`` its leading dots."""

    module: str
    names: tuple[str, ...]
    level: int
    line: int
    moment: Moment


@dataclass(frozen=True, slots=True)
class FileFacts:
    """All that is known of one file, in the order of its lines."""

    definitions: tuple[Definition, ...] = ()
    calls: tuple[Call, ...] = ()
    imports: tuple[ImportWords, ...] = ()


@dataclass(frozen=True, slots=True)
class Import:
    """One file importing another; ``line`` is the first that does so at this moment."""

    importer: str
    imported: str
    line: int
    moment: Moment


class Language(Protocol):
    """A language that can be read. ``suffixes`` are the endings of its files, with the dot."""

    suffixes: tuple[str, ...]

    def read(self, content: bytes, suffix: str) -> FileFacts | None:
        """What a file says; None if it is not of this language after all. Never runs any of it."""
        ...

    def link(self, files: Mapping[str, FileFacts | None]) -> tuple[Import, ...]:
        """Imports between these files, by path; imports of anything else are left out."""
        ...


LANGUAGES: ExtensionPoint[Language] = ExtensionPoint("bullpen.codegraph.languages", "language")
