"""Processes that work together on one PostgreSQL: each holds a lease, and what a dead one had begun is handed on.

A lease is extended by the database's clock, so that a machine whose own clock jumps loses nothing. Its holder counts
the seconds since it last knew that it held it; when they run out it must end, for others take its work from then on.

Leases do not wait for the database's disk: one that takes seconds to write, or stands still, would cost all of them. If
the server dies, the last second of extensions may be forgotten; then a holder finds itself marked as lost, and ends.
"""

import hashlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Column, Float, Integer, String, Table, Text, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from bullpen.kernel.storage.schema import metadata
from bullpen.kernel.storage.unit_of_work import UnitOfWork

LEASE_SECONDS = 15.0
BEAT_SECONDS = 4.0
WATCH_SECONDS = 0.25
AGAIN_SECONDS = 0.5  # until the database is asked for again
KEEP_SECONDS = 3600.0  # how long a lost executor is still shown, and still told that it is lost
_SWEEP_LOCK = 7217

executor = Table(
    "executor",
    metadata,
    Column("id", String(120), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("place", Text, nullable=False),  # the boot and the process namespace a pid has a meaning in
    Column("begun", String(40), nullable=False),  # when that process began, as its kernel counts
    Column("lanes", Integer, nullable=False),
    Column("release", String(40), nullable=False),
    Column("started_at", Float(53), nullable=False),
    Column("lease_until", Float(53), nullable=False),
    Column("lost_at", Float(53)),
)

_NOW = func.extract("epoch", func.clock_timestamp()).cast(Float(53))
_UNTIL = _NOW + LEASE_SECONDS
_IS_HELD = executor.c.lost_at.is_(None)


@dataclass(frozen=True, slots=True)
class Executor:
    """A process that works. ``lanes`` is how many workflows it runs at once; times are seconds since 1970, as the
    database counts them; ``lost_at`` is None while it holds its lease.
    """

    id: str
    host: str
    pid: int
    place: str
    begun: str
    lanes: int
    release: str
    started_at: float = 0.0
    lease_until: float = 0.0
    lost_at: float | None = None


def this_process(label: str, home: str, lanes: int, release: str) -> Executor:
    """Who we are. The id is new for every start, so a process that was thought dead is never mistaken for its heir.

    ``home`` is the identity of its home (see ``home_of``), ``label`` says to people what it does.
    """
    name = f"{home}.{label}.{secrets.token_hex(4)}"
    pid = os.getpid()
    return Executor(name, socket.gethostname(), pid, _place(), _begun(pid), lanes, release)


def home_of(executor_id: str) -> str:
    """The identity of the home an executor works in; empty for ids of another form."""
    return executor_id.partition(".")[0] if "." in executor_id else ""


def home_identity(home: Path) -> str:
    """Twelve hexadecimal digits that name a home at its path: processes that share them share its files."""
    file = home / "identity"
    home.mkdir(parents=True, exist_ok=True)
    draft = home / f"identity.{secrets.token_hex(4)}"
    try:
        draft.write_text(secrets.token_hex(16))
        os.link(draft, file)  # the first one wins
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
    whole = f"{file.read_text().strip()}\0{home.absolute()}"
    return hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()[:12]


async def list_executors(uow: UnitOfWork) -> list[Executor]:
    """All that are announced, those that were lost lately among them, oldest first."""
    rows = await uow.fetch(select(executor).order_by(executor.c.started_at, executor.c.id))
    return [Executor(*row) for row in rows]


@dataclass(slots=True)
class Lease:
    """Keeps this process announced, sweeps for dead ones, and says when it is lost.

    ``sweep`` is called every few seconds with the ids that hold a lease, in a thread of the lease's own; ``on_lost``
    at most once, with a sentence, from another. After that nothing may be worked on by this process.
    """

    url: str
    me: Executor
    sweep: Callable[[frozenset[str]], None]
    on_lost: Callable[[str], None]
    _ending: threading.Event = field(default_factory=threading.Event)
    _held_at: float = 0.0
    _threads: list[threading.Thread] = field(default_factory=list[threading.Thread])

    def announce(self) -> None:
        """Take the lease; before the process begins to work."""
        me = self.me
        row = executor.insert().values(
            id=me.id,
            host=me.host,
            pid=me.pid,
            place=me.place,
            begun=me.begun,
            lanes=me.lanes,
            release=me.release,
            started_at=_NOW,
            lease_until=_UNTIL,
        )
        self._held_at = _seconds()
        with self._connect() as connection:
            connection.execute(row)

    def keep(self) -> None:
        """Extend it from now on, and sweep at once."""
        for body in (self._beat, self._watch):
            thread = threading.Thread(target=body, name=f"lease-{body.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Extend it no more; it holds for its time."""
        self._ending.set()
        for thread in self._threads:
            thread.join(LEASE_SECONDS)

    def withdraw(self) -> None:
        """Give it back: the process has handed on what it had. A database that is away will find out by itself."""
        with suppress(DBAPIError), self._connect() as connection:
            connection.execute(executor.delete().where(executor.c.id == self.me.id))

    def _beat(self) -> None:
        """Extend and sweep, over a new connection whenever the last one broke: the server may restart at any time."""
        while not self._ending.is_set():
            with suppress(DBAPIError), self._connect() as connection:
                while self._extend(connection) and not self._ending.is_set():
                    self._sweep(connection)
                    self._ending.wait(BEAT_SECONDS)
            self._ending.wait(AGAIN_SECONDS)

    def _extend(self, connection: sa.Connection) -> bool:
        asked_at = _seconds()
        mine = executor.update().where(executor.c.id == self.me.id, _IS_HELD)
        if connection.execute(mine.values(lease_until=_UNTIL)).rowcount == 1:
            self._held_at = asked_at
            return True
        self._lose("Others took this process for dead and go on with its work.")
        return False

    def _sweep(self, connection: sa.Connection) -> None:
        """Mark who is lost, and hand on their work. One process does it at a time.

        Whoever is marked is lost, even if it comes back a moment later.
        """
        if not connection.execute(select(func.pg_try_advisory_lock(_SWEEP_LOCK))).scalar():
            return
        late = executor.c.lease_until < _NOW
        lost = executor.update().where(_IS_HELD, executor.c.id != self.me.id)
        connection.execute(lost.where(late | executor.c.id.in_(self._gone(connection))).values(lost_at=_NOW))
        connection.execute(executor.delete().where(executor.c.lost_at < _NOW - KEEP_SECONDS))
        held = connection.execute(select(executor.c.id).where(_IS_HELD))
        self.sweep(frozenset(row[0] for row in held))
        connection.execute(select(func.pg_advisory_unlock(_SWEEP_LOCK)))

    def _gone(self, connection: sa.Connection) -> list[str]:
        """Executors of this machine whose process has ended: no need to wait for their leases."""
        here = select(executor.c.id, executor.c.pid, executor.c.begun).where(_IS_HELD)
        rows = connection.execute(here.where(executor.c.place == self.me.place))
        return [name for name, pid, begun in rows if _begun(pid) != begun]

    def _watch(self) -> None:
        """A thread of its own, for a connection may hang: the lease ends by our clock though nobody tells us."""
        while not self._ending.wait(WATCH_SECONDS):
            if _seconds() - self._held_at > LEASE_SECONDS - 1:
                self._lose(f"The database was out of reach for {LEASE_SECONDS:g} s.")

    def _connect(self) -> sa.Connection:
        """A connection that notices within seconds that the other side is gone."""
        from bullpen.kernel.storage.postgres import driver_url

        told = "-c statement_timeout=4000 -c synchronous_commit=off"
        patience = {"connect_timeout": 3, "tcp_user_timeout": 4000, "options": told}
        engine = sa.create_engine(
            driver_url(self.url), poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=patience
        )
        return engine.connect()

    def _lose(self, why: str) -> None:
        if not self._ending.is_set():
            self._ending.set()
            self.on_lost(why)


def _seconds() -> float:
    """Seconds that also count while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"


def _begun(pid: int) -> str:
    """Clock ticks from the machine's start to the process's; empty if there is no such process, or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
