"""Known faults of packages, as OSV records (https://ossf.github.io/osv-schema/) from files; nothing is asked of the net.

They come with Bullpen (``analysis/advisories``), lie in ``.bullpen/advisories`` of the tree, or in ``advisories`` of
Bullpen's home, where also the archives can be put that osv.dev offers (``all.zip``).
"""

import re
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from packaging.utils import canonicalize_name
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from bullpen.analysis.analysers._versions import PYPI, order
from bullpen.analysis.base import AnalyserFailed
from bullpen.domain.finding import Severity

Key = tuple[str, str]  # ecosystem and name of a package
_LARGEST = 64 * 1024 * 1024  # bytes of one file
_SEVERITIES = {
    "LOW": Severity.LOW,
    "MODERATE": Severity.MEDIUM,
    "MEDIUM": Severity.MEDIUM,
    "HIGH": Severity.HIGH,
    "CRITICAL": Severity.CRITICAL,
}


class _Event(BaseModel):
    introduced: str = ""
    fixed: str = ""
    last_affected: str = ""


class _Range(BaseModel):
    type: Literal["SEMVER", "ECOSYSTEM", "GIT"]
    events: list[_Event] = Field(default_factory=list[_Event])


class _Package(BaseModel):
    ecosystem: str
    name: str


class _Affected(BaseModel):
    package: _Package | None = None
    ranges: list[_Range] = Field(default_factory=list[_Range])
    versions: list[str] = Field(default_factory=list[str])


class _Reference(BaseModel):
    type: str = ""
    url: str = ""


class _Own(BaseModel):
    severity: str = ""


class _Record(BaseModel):
    id: str
    aliases: list[str] = Field(default_factory=list[str])
    withdrawn: str | None = None
    affected: list[_Affected] = Field(default_factory=list[_Affected])
    references: list[_Reference] = Field(default_factory=list[_Reference])
    database_specific: _Own | None = None


_RECORDS: TypeAdapter[list[_Record] | _Record] = TypeAdapter(list[_Record] | _Record)


@dataclass(frozen=True, slots=True)
class Advisory:
    """A fault in some versions of one package. ``events`` are pairs of what happens and in which version, by range."""

    id: str
    package: Key
    events: tuple[tuple[tuple[str, str], ...], ...]
    versions: frozenset[str]
    severity: Severity
    url: str

    def affects(self, version: str) -> bool:
        """Whether this version has the fault; False where the version cannot be compared."""
        if version in self.versions:
            return True
        at = order(self.package[0], version)
        return at is not None and any(self._within(at, events) for events in self.events)

    def fixes(self) -> Iterator[str]:
        """The versions in which it was mended."""
        yield from (version for events in self.events for what, version in events if what == "fixed")

    def since(self) -> str:
        """The version it came in with; ``0`` for the first there was."""
        return next(
            (version for events in self.events for what, version in events if what == "introduced"), "0"
        )

    def _within(self, at: Any, events: Iterable[tuple[str, str]]) -> bool:
        """Evaluation as the schema's text has it: the last event at or before the version decides."""
        inside = False
        for what, version in events:
            bound = order(self.package[0], version)
            if what == "introduced":
                inside = inside or version == "0" or (bound is not None and at >= bound)
            elif bound is None:
                return False  # what ends it cannot be compared, so nothing is known
            elif (at >= bound) if what == "fixed" else (at > bound):
                inside = False
        return inside


class UnreadableAdvisory(Exception):
    """A file that is not what OSV describes; the argument says why."""


def parse_advisories(content: bytes) -> list[Advisory]:
    """The advisories of a file with one record or a list of them.

    Raises:
        UnreadableAdvisory: it is not JSON, or no record.
    """
    try:
        read = _RECORDS.validate_json(content)
    except ValidationError as error:
        raise UnreadableAdvisory(error.errors()[0]["msg"]) from error
    records = read if isinstance(read, list) else [read]
    return [advisory for record in records if not record.withdrawn for advisory in _of(record)]


def _of(record: _Record) -> Iterator[Advisory]:
    names = (record.id, *record.aliases)
    own = record.database_specific
    page = next((each.url for each in record.references if each.type == "ADVISORY"), "")
    for affected in record.affected:
        if affected.package:
            yield Advisory(
                id=next((name for name in names if name.startswith("CVE-")), record.id),
                package=package_key(affected.package.ecosystem, affected.package.name),
                events=tuple(_events(affected.package.ecosystem, affected.ranges)),
                versions=frozenset(affected.versions),
                severity=_SEVERITIES.get((own.severity if own else "").upper(), Severity.MEDIUM),
                url=page or f"https://osv.dev/vulnerability/{record.id}",
            )


def _events(ecosystem: str, ranges: Iterable[_Range]) -> Iterator[tuple[tuple[str, str], ...]]:
    for each in ranges:
        if each.type != "GIT":
            pairs = [
                (what, version)
                for event in each.events
                for what, version in (
                    ("introduced", event.introduced),
                    ("fixed", event.fixed),
                    ("last_affected", event.last_affected),
                )
                if version
            ]
            if all(version == "0" or order(ecosystem, version) is not None for _, version in pairs):
                yield tuple(sorted(pairs, key=lambda pair: _place(ecosystem, pair)))


def _place(ecosystem: str, pair: tuple[str, str]) -> tuple[bool, Any, bool]:
    what, version = pair
    return (version != "0", order(ecosystem, "0" if version == "0" else version), what == "last_affected")


def package_key(ecosystem: str, name: str) -> Key:
    """A package's identity; PyPI does not tell ``Foo_Bar`` from ``foo-bar``."""
    return (ecosystem, canonicalize_name(name) if ecosystem == PYPI else name)


@cache
def built_in() -> tuple[Advisory, ...]:
    """Those that come with Bullpen: a small choice of well-known ones."""
    folder = files("bullpen.analysis").joinpath("advisories")
    found = (entry for entry in folder.iterdir() if entry.name.endswith(".json"))
    return tuple(advisory for entry in found for advisory in parse_advisories(entry.read_bytes()))


def of_folder(folder: Path, wanted: Collection[Key]) -> Iterator[Advisory]:
    """Those of the person's own folder that concern these packages: files of JSON, and archives of such files.

    Raises:
        AnalyserFailed: a file cannot be read; the message names it.
    """
    if not folder.is_dir() or not wanted:
        return
    mentioned = re.compile("|".join(re.escape(name) for _, name in sorted(wanted)).encode(), re.IGNORECASE)
    for name, content in _contents(folder):
        if mentioned.search(content.replace(b"_", b"-")) or mentioned.search(content):
            try:
                yield from (each for each in parse_advisories(content) if each.package in wanted)
            except UnreadableAdvisory as error:
                raise AnalyserFailed(f"The advisory {name} cannot be read: {error}.") from error


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.iterdir()):
        if file.suffix == ".json":
            yield str(file), file.read_bytes()
        elif file.suffix == ".zip":
            yield from _of_archive(file)


def _of_archive(file: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if entry.filename.endswith(".json") and entry.file_size <= _LARGEST:
                    yield f"{file}:{entry.filename}", archive.read(entry)
    except zipfile.BadZipFile as error:
        raise AnalyserFailed(f"The archive {file} cannot be read: {error}.") from error


def by_package(advisories: Iterable[Advisory]) -> Mapping[Key, list[Advisory]]:
    """Grouped; the same one from two places counts once."""
    found: defaultdict[Key, list[Advisory]] = defaultdict(list)
    for advisory in dict.fromkeys(advisories):
        found[advisory.package].append(advisory)
    return found
