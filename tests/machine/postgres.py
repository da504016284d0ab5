"""A PostgreSQL of the tests' own: its folder, its port, an account that is not root."""

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from tests.machine.server import account, end, find_program, free_port, wait_until

_SETTINGS = ("listen_addresses=127.0.0.1", "fsync=off", "synchronous_commit=off", "full_page_writes=off")


@dataclass(frozen=True)
class Cluster:
    """A running server."""

    port: int

    def url(self, database: str) -> str:
        """How to reach one of its databases."""
        return f"postgresql://bullpen@127.0.0.1:{self.port}/{database}"

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """The URL of an empty database, which goes afterwards."""
        name = f"test_{secrets.token_hex(6)}"
        self._administer(f"create database {name} template template0")
        try:
            yield self.url(name)
        finally:
            self._administer(f"drop database {name} with (force)")

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]


@contextmanager
def start_cluster() -> Iterator[Cluster]:
    """Make and start one; it ends, and its folder goes, with the context."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    initdb, postgres = find_program("initdb", *binaries), find_program("postgres", *binaries)
    who = account()
    own = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []} if who else {}
    with tempfile.TemporaryDirectory(prefix="bullpen-postgres-") as name:
        folder = Path(name)
        if who:
            os.chown(folder, who.pw_uid, who.pw_gid)
        data, log = folder / "data", folder / "log"
        options = ["--auth=trust", "--username=bullpen", "--encoding=UTF8", "--no-locale", "--no-sync"]
        made = subprocess.run(
            [initdb, *options, f"--pgdata={data}"], cwd=folder, capture_output=True, text=True, **own
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        cluster = Cluster(free_port())
        settings = [part for one in (*_SETTINGS, f"unix_socket_directories={folder}") for part in ("-c", one)]
        with log.open("wb") as output:
            argv = [postgres, "-D", str(data), "-p", str(cluster.port), *settings]
            server = subprocess.Popen(argv, cwd=folder, stdout=output, stderr=output, **own)
        try:
            wait_until(cluster.answers, server, log)
            yield cluster
        finally:
            server.send_signal(2)  # PostgreSQL's fast shutdown: it does not wait for clients
            end(server)
