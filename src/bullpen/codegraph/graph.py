"""Symbols, calls and imports of a whole tree. A file is read again only when its content has changed."""

import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from bullpen.codegraph.base import LANGUAGES, Call, Definition, FileFacts, Language
from bullpen.codegraph.imports import ImportGraph

MOST_KEPT = 20_000


class KeptFacts:
    """What files said, by language and content; the oldest go when there are more than ``most``."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, bytes], FileFacts | None] = OrderedDict()

    def facts(self, language: Language, suffix: str, content: bytes) -> FileFacts | None:
        """What the file says, read only if this content was not read before."""
        key = (suffix, hashlib.sha256(content).digest())
        if key not in self._kept:
            self._kept[key] = language.read(content, suffix)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return self._kept[key]

    @property
    def count(self) -> int:
        """How many are kept."""
        return len(self._kept)


@dataclass(frozen=True, slots=True)
class DefinedAt:
    """Where a symbol is defined."""

    path: str
    definition: Definition


@dataclass(frozen=True, slots=True)
class CalledAt:
    """Where something of that name is called. ``linked``: the file defines it, or imports a file that does."""

    path: str
    call: Call
    linked: bool


@dataclass(frozen=True, slots=True)
class CodeGraph:
    """A tree of code. Paths are relative to its root."""

    files: Mapping[str, FileFacts | None]  # None: it cannot be read
    imports: ImportGraph

    def definitions_of(self, name: str) -> tuple[DefinedAt, ...]:
        """Where a symbol is defined; ``run`` finds every ``run``, ``Job.run`` only those of a ``Job``."""
        return tuple(
            DefinedAt(path, one)
            for path, facts in self._read()
            for one in facts.definitions
            if one.name == name or one.name.endswith(f".{name}")
        )

    def calls_of(self, name: str) -> tuple[CalledAt, ...]:
        """Where something of this name is called, linked ones first: by name, for types are not known."""
        homes = {one.path for one in self.definitions_of(name)}
        near = homes | {importer for home in homes for importer in self.imports.importers_of(home)}
        last = name.rpartition(".")[2]
        found = [
            CalledAt(path, one, path in near)
            for path, facts in self._read()
            for one in facts.calls
            if one.name == last
        ]
        return tuple(sorted(found, key=lambda one: (not one.linked, one.path, one.call.line)))

    def _read(self) -> Iterable[tuple[str, FileFacts]]:
        return ((path, facts) for path, facts in self.files.items() if facts is not None)


@cache
def suffixes() -> Mapping[str, str]:
    """Names of languages by the endings of their files."""
    return {suffix: name for name in LANGUAGES.names() for suffix in LANGUAGES.load(name).suffixes}


def suffix_of(path: str) -> str:
    """The ending that tells a file's language, with the dot."""
    return PurePosixPath(path).suffix.lower()


def code_graph(sources: Mapping[str, bytes], kept: KeptFacts) -> CodeGraph:
    """The graph of these files by path; those of no known language are left out."""
    files: dict[str, FileFacts | None] = {}
    by_language: defaultdict[str, dict[str, FileFacts | None]] = defaultdict(dict)
    for path in sorted(sources):
        suffix = suffix_of(path)
        if suffix in suffixes():
            name = suffixes()[suffix]
            files[path] = kept.facts(LANGUAGES.load(name), suffix, sources[path])
            by_language[name][path] = files[path]
    linked = [one for name, members in by_language.items() for one in LANGUAGES.load(name).link(members)]
    unreadable = frozenset(path for path, facts in files.items() if facts is None)
    return CodeGraph(files, ImportGraph({path: path for path in files}, tuple(linked), unreadable))
