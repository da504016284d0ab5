"""What analysers saw, kept on disk by the hash of what they looked at."""

import hashlib
import json
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from bullpen.domain.finding import Concern, Observation, Place, Severity

_FILE = "observations.sqlite"
_SCHEMA = "CREATE TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY, observations TEXT NOT NULL) WITHOUT ROWID"
_CHUNK = 500  # keys in one query
_WAIT_SECONDS = 10.0


def cache_key(analyser: str, version: str, contents: Iterable[tuple[str, str]], context: str = "") -> str:
    """A key for what ``analyser`` sees in files given as (path, blob hash); ``context`` is whatever else it depends on."""
    digest = hashlib.sha256()
    for part in (analyser, version, context, *(part for pair in sorted(contents) for part in pair)):
        raw = part.encode("utf-8", "surrogateescape")
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


class ObservationCache:
    """A SQLite file in ``folder``, safe for several processes at once. A broken entry or file counts as absent."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / _FILE
        self._database: sqlite3.Connection | None = None

    def get(self, keys: Sequence[str]) -> dict[str, list[Observation]]:
        """The entries there are among ``keys``."""
        found: dict[str, list[Observation]] = {}
        for key, text in self._rows(keys):
            observations = _read(text)
            if observations is not None:
                found[key] = observations
        return found

    def put(self, entries: Mapping[str, Sequence[Observation]]) -> None:
        """Add entries, all or none, replacing those of the same key."""
        rows = [(key, _write(observations)) for key, observations in entries.items()]
        try:
            self._insert(rows)
        except sqlite3.DatabaseError as error:
            if not _is_broken(error):
                raise
            self._set_aside()
            self._insert(rows)

    def _insert(self, rows: Sequence[tuple[str, str]]) -> None:
        with self._open() as database:
            database.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", rows)

    def _rows(self, keys: Sequence[str]) -> list[tuple[str, str]]:
        if not self._file.exists():
            return []
        try:
            with self._open() as database:
                return list(_select(database, keys))
        except sqlite3.DatabaseError as error:
            if not _is_broken(error):
                raise
            return []

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        if self._database is None or not self._file.exists():
            self.close()
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._database = _connect(self._file)
        with self._database as database:
            yield database

    def close(self) -> None:
        """Let go of the file; the next call opens it again."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _set_aside(self) -> None:
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self._file.with_name(_FILE + suffix).unlink(missing_ok=True)


def _connect(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=_WAIT_SECONDS)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute(_SCHEMA)
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database


def _select(database: sqlite3.Connection, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        marks = ",".join("?" * len(chunk))
        yield from database.execute(f"SELECT key, observations FROM seen WHERE key IN ({marks})", chunk)  # noqa: S608 - only question marks


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorname in ("SQLITE_NOTADB", "SQLITE_CORRUPT") or "malformed" in str(error)


def _write(observations: Sequence[Observation]) -> str:
    return json.dumps([asdict(each) for each in observations])


def _read(text: str) -> list[Observation] | None:
    try:
        entries = json.loads(text)
        return (
            [_observation(entry) for entry in cast("list[Any]", entries)]
            if isinstance(entries, list)
            else None
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _observation(entry: Any) -> Observation:
    place = entry["place"]
    return Observation(
        rule=entry["rule"],
        message=entry["message"],
        severity=Severity(entry["severity"]),
        concern=Concern(entry["concern"]),
        place=Place(**place),
        analyser=entry["analyser"],
        same_as=tuple(entry["same_as"]),
        url=entry["url"],
        fix=entry["fix"],
    )
