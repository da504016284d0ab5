"""The folder through which a process in the sandbox tells, as it goes, which tests ran.

What comes back was written by the project's code: it is read without following links, up to a size, and lines that are
not ours are left out.
"""

import json
import os
import secrets
import stat
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bullpen.domain.test_report import TestOutcome, TestResult
from bullpen.sandbox.base import MEBIBYTE, Mount

INSIDE = "/opt/bullpen/record"
MAX_BYTES = 256 * MEBIBYTE


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=False)


class _Collecting(_Line):
    kind: Literal["collecting"]
    id: str


class _Start(_Line):
    kind: Literal["start"]
    id: str


class _Result(_Line):
    kind: Literal["result"]
    id: str
    outcome: TestOutcome
    seconds: float
    message: str


class _Note(_Line):
    kind: Literal["note"]
    text: str


class _End(_Line):
    kind: Literal["end"]
    status: int


_LINE: TypeAdapter[_Collecting | _Start | _Result | _Note | _End] = TypeAdapter(
    Annotated[_Collecting | _Start | _Result | _Note | _End, Field(discriminator="kind")]
)


class FileLines(BaseModel):
    """One file's entry in ``coverage.json``: line numbers from 1."""

    executed: list[int]
    missing: list[int]
    contexts: dict[str, list[int]] = {}


class LineReport(BaseModel):
    """``coverage.json``: by path relative to the workspace."""

    files: dict[str, FileLines]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the plugin is told, as ``settings.json``."""

    root: str
    select: Sequence[str]
    coverage: bool
    contexts: bool
    coverage_path: str


@dataclass(frozen=True, slots=True)
class Records:
    """What was written down before the process ended. ``status`` is pytest's, None when it did not get that far."""

    results: tuple[TestResult, ...]
    running: tuple[str, ...]
    collecting: str
    notes: tuple[str, ...]
    status: int | None


@contextmanager
def record_folder(settings: Settings) -> Generator[Path]:
    """A folder that others cannot find, gone afterwards; the sandbox sees to it that its user may write."""
    with tempfile.TemporaryDirectory(prefix="bullpen-record-") as outer:
        Path(outer).chmod(0o711)
        folder = Path(outer) / secrets.token_hex(16)
        folder.mkdir()
        # JSON of surrogates must survive: file names may hold any byte
        (folder / "settings.json").write_text(json.dumps(asdict(settings)), encoding="ascii")
        yield folder


def mount_of(folder: Path) -> Mount:
    """Where the sandbox sees it."""
    return Mount(folder, INSIDE, writable=True)


def read_records(folder: Path) -> Records:
    """Everything told so far; of several results with one id the last counts."""
    results: dict[str, TestResult] = {}
    running: dict[str, None] = {}
    notes: dict[str, None] = {}
    collecting, status = "", None
    for raw in _read_file(folder / "records.jsonl").splitlines():
        match _parsed(raw):
            case _Start(id=test):
                running[test] = None
            case _Result() as line:
                running.pop(line.id, None)
                results[line.id] = TestResult(line.id, line.outcome, line.seconds, _printable(line.message))
            case _Collecting(id=test):
                collecting = test
            case _Note(text=text):
                notes[_printable(text)] = None
            case _End() as line:
                status = line.status
            case None:
                continue
    return Records(tuple(results.values()), tuple(running), collecting, tuple(notes), status)


def read_lines(folder: Path) -> LineReport | None:
    """What the tracer saw, or None when the process did not live to tell."""
    content = _read_file(folder / "coverage.json")
    try:
        return LineReport.model_validate_json(content) if content else None
    except ValidationError:
        return None


def _parsed(raw: bytes) -> _Collecting | _Start | _Result | _Note | _End | None:
    try:
        return _LINE.validate_json(raw)
    except ValidationError:
        return None


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _read_file(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return file.read(MAX_BYTES)
