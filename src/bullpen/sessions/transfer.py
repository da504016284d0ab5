"""Sessions leave and come in as one file, and begin anew from any of their events.

The file is a zip archive: ``manifest.json``, one ``tables/NAME.jsonl`` for each table with rows of the session, and the
session's reports under ``reports/``. Whoever has it can read and replay the session; that is also how one is shared
without being changed. It is read as hostile data: sizes are bounded, names are matched, values are checked.
"""

import importlib
import importlib.util
import io
import json
import pkgutil
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, insert, select

import bullpen
from bullpen.domain.actor import Scope
from bullpen.domain.errors import BullpenError, Conflict, InvalidInput, NotFound
from bullpen.domain.events.improve import ChangeLanded
from bullpen.domain.ids import SessionId, new_id
from bullpen.domain.session import Session
from bullpen.kernel.bus import tables as bus
from bullpen.kernel.bus.codec import decode
from bullpen.kernel.storage.migrate import NEWEST
from bullpen.kernel.storage.schema import metadata
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions import queries
from bullpen.sessions.actions import create_session, note_facts
from bullpen.sessions.tables import session as session_table

FORMAT = 1
MOST_BYTES = 1 << 30  # of the unpacked file
_OWN = frozenset({"organization_id", "position"})  # the receiving database's own
_STAYS = frozenset({"session_share"})  # a link opens a session here, not its copies elsewhere
_NAME = re.compile(r"ses-[0-9a-zA-Z_-]{1,36}|[A-Za-z0-9][\w.-]{0,39}")
_REPORT = re.compile(r"reports/[A-Za-z0-9][\w.-]{0,120}")


@dataclass(frozen=True, slots=True)
class Imported:
    """A session that came in, and the report files that came with it."""

    session: Session
    reports: Mapping[str, bytes]


async def export_session(uow: UnitOfWork, session_id: SessionId, reports: Mapping[str, bytes]) -> bytes:
    """The whole session as the bytes of one file. ``reports`` are files by name."""
    uow.actor.require(Scope.READ)
    stored = await queries.get_session(uow, session_id)
    manifest = {"format": FORMAT, "session": stored.id, "schema": NEWEST, "bullpen": bullpen.__version__}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(manifest, indent=1))
        for table in _tables():
            lines = [json.dumps(row) for row in await _rows(uow, table, session_id)]
            archive.writestr(f"tables/{table.name}.jsonl", "\n".join(lines))
        for name, content in sorted(reports.items()):
            archive.writestr(f"reports/{name}", content)
    return buffer.getvalue()


async def import_session(uow: UnitOfWork, content: bytes, name: str = "") -> Imported:
    """Take a session in under its own id, or under ``name``.

    Raises:
        InvalidInput: the file is not such an export, or holds what cannot be; the sentence says where.
        Conflict: there is a session of that id already.
    """
    uow.actor.require(Scope.RUN)
    files = _unpack(content)
    manifest = _manifest(files)
    session_id = SessionId(name or str(manifest.get("session", "")))
    if not _NAME.fullmatch(session_id):
        raise InvalidInput(f"{session_id[:60]!r} cannot be the id of a session.")
    await _require_free(uow, session_id)
    for table in _tables():
        rows = _read_rows(table, files.get(f"tables/{table.name}.jsonl", b""), session_id)
        if rows:
            values = [{**row, "organization_id": uow.actor.organization_id} for row in rows]
            await uow.run(insert(table), values)
    reports = {path.split("/", 1)[1]: body for path, body in files.items() if _REPORT.fullmatch(path)}
    try:
        return Imported(await queries.get_session(uow, session_id), reports)
    except NotFound:
        raise InvalidInput("The file holds no session.") from None


async def fork_session(uow: UnitOfWork, session_id: str, position: int = 0, name: str = "") -> Session:
    """A new session with the parent's history up to and with the event at ``position`` (0: all of it).

    Its facts tell where it forked (``forked_from``) and the commit the branch was at then (``tip``, if any): run, it
    goes on from there on a branch of its own.

    Raises:
        NotFound: the session has no event at that position.
        Conflict: there is a session called ``name`` already.
    """
    parent = await queries.get_session(uow, session_id)
    child = SessionId(name or new_id("ses"))
    await _require_free(uow, child)
    rows = await _rows(uow, bus.event, parent.id)
    kept = [row for row in rows if not position or row["position"] <= position]
    if position and not any(row["position"] == position for row in kept):
        raise NotFound(
            f"Session {parent.id} has no event {position}.",
            remedy=f"See `bullpen sessions replay {parent.id} --all`.",
        )
    copies = [{**row, "session_id": child, "organization_id": uow.actor.organization_id} for row in kept]
    for copy in copies:
        del copy["position"]
    if copies:
        await uow.run(insert(bus.event), copies)
    await create_session(
        uow,
        child,
        kind=parent.kind,
        goal=parent.goal,
        project=parent.project,
        options=parent.options,
        parent=parent.id,
    )
    last = kept[-1]["position"] if kept else 0
    await note_facts(uow, child, forked_from=f"{parent.id}:{last}", **_tip(kept))
    return await queries.get_session(uow, child)


def _tip(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    landed = [row["body"] for row in rows if row["type"] == ChangeLanded.__name__]
    return {"tip": cast("ChangeLanded", decode(ChangeLanded.__name__, landed[-1])).commit} if landed else {}


async def _require_free(uow: UnitOfWork, session_id: SessionId) -> None:
    if await uow.fetch(uow.rows_of(session_table).where(session_table.c.id == session_id)):
        raise Conflict(f"There is a session {session_id} already.", remedy="Give it another name with --as.")


def _tables() -> list[Table]:
    """Every table with rows of sessions, whichever package owns it; the sessions themselves first."""
    for package in pkgutil.iter_modules(bullpen.__path__):
        name = f"{bullpen.__name__}.{package.name}.tables"
        if package.ispkg and importlib.util.find_spec(name):
            importlib.import_module(name)
    own = [table for table in metadata.sorted_tables if table.name not in _STAYS]
    others = [table for table in own if "session_id" in table.c]
    return [session_table, *others]


async def _rows(uow: UnitOfWork, table: Table, session_id: str) -> list[dict[str, Any]]:
    own = table.c.id if table is session_table else table.c.session_id
    statement = select(table).where(table.c.organization_id == uow.actor.organization_id, own == session_id)
    rows = await uow.fetch(statement.order_by(*table.primary_key.columns))
    kept = [column.name for column in table.columns if column.name != "organization_id"]
    return [{name: getattr(row, name) for name in kept} for row in rows]


def _unpack(content: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
                raise InvalidInput("The file unpacks to more than a gibibyte.")
            return {entry.filename: archive.read(entry) for entry in archive.infolist()}
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InvalidInput(
            f"The file is not an exported session: {error}.",
            remedy="Write one with `bullpen sessions export`.",
        ) from error


def _manifest(files: Mapping[str, bytes]) -> dict[str, Any]:
    manifest = _object(files.get("manifest.json", b""), "manifest.json")
    if manifest.get("format") != FORMAT:
        raise InvalidInput(
            f"The file has format {manifest.get('format')!r}; this version reads {FORMAT}.",
            remedy="Export it again with a version of Bullpen like this one.",
        )
    return manifest


def _object(raw: bytes, where: str) -> dict[str, Any]:
    try:
        value: Any = json.loads(raw)
    except ValueError as error:
        raise InvalidInput(f"{where} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} is not an object.")
    return cast("dict[str, Any]", value)


def _read_rows(table: Table, raw: bytes, session_id: SessionId) -> list[dict[str, Any]]:
    lines = [line for line in raw.split(b"\n") if line.strip()]
    return [
        _read_row(table, _object(line, f"tables/{table.name}.jsonl, line {number}"), session_id, number)
        for number, line in enumerate(lines, 1)
    ]


def _read_row(table: Table, row: dict[str, Any], session_id: SessionId, number: int) -> dict[str, Any]:
    where = f"tables/{table.name}.jsonl, line {number}"
    wanted = {column.name: column for column in table.columns if not _is_own(table, column.name)}
    if missing := sorted(set(wanted) - set(row)):
        raise InvalidInput(f"{where}: {', '.join(missing)} is missing.")
    for name, column in wanted.items():
        kind = column.type.python_type
        fits = isinstance(row[name], int | float) if kind is float else isinstance(row[name], kind)
        if not fits:
            raise InvalidInput(f"{where}: {name} is not of type {kind.__name__}.")
    if table is bus.event:
        _check_event(row, where)
    key = "id" if table is session_table else "session_id"
    return {name: row[name] for name in wanted} | {key: session_id}


def _is_own(table: Table, column: str) -> bool:
    return column == "organization_id" or (table is bus.event and column in _OWN)


def _check_event(row: Mapping[str, Any], where: str) -> None:
    try:
        decode(row["type"], row["body"])
    except (BullpenError, ValueError) as error:
        raise InvalidInput(f"{where}: the event cannot be read: {str(error).splitlines()[0]}.") from error
