"""A PostgreSQL of a bench's own, that can be killed and started again without losing what it committed."""

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psycopg
from tests.machine.server import CannotStart, account, end, find_program, free_port, wait_until

MOST_STARTS = 20


@dataclass
class OwnPostgres:
    """A server in a folder that goes with the context. ``fsync`` is off unless set: processes die here, not the machine."""

    address: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="bullpen-postgres-")))
    server: subprocess.Popen[bytes] | None = None
    fsync: bool = False

    @property
    def url(self) -> str:
        """How to reach its one database."""
        return f"postgresql://bullpen@{self.address}:{self.port}/postgres"

    def __enter__(self) -> Self:
        if own := self._own():
            os.chown(self.folder, own["user"], own["group"])
        made = [self._program("initdb"), "--auth=trust", "--username=bullpen", "--encoding=UTF8", "--no-sync"]
        subprocess.run([*made, f"--pgdata={self.folder / 'data'}"], check=True, capture_output=True, **own)
        rules = self.folder / "data" / "pg_hba.conf"
        rules.write_text("local all all trust\nhost all all all trust\n")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.server:
            self.server.send_signal(2)  # PostgreSQL's fast shutdown: it does not wait for clients
            end(self.server)
        shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self) -> None:
        """As a supervisor would, again and again: the first times, children of the dead one may still be there."""
        for _ in range(MOST_STARTS):
            with suppress(CannotStart):
                return self.start()
            time.sleep(0.2)
        return self.start()

    def start(self) -> None:
        """Until it takes connections."""
        settings = (
            f"listen_addresses={self.address}",
            f"unix_socket_directories={self.folder}",
            *("full_page_writes=off", "max_connections=200"),
            "autovacuum=off" if self.fsync else "fsync=off",  # what writes by itself would starve the others
        )
        argv = [self._program("postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        log = self.folder / "log"
        with log.open("ab") as output:
            self.server = subprocess.Popen(
                [*argv, *(part for one in settings for part in ("-c", one))],
                **{"cwd": self.folder, "stdout": output, "stderr": output, **self._own()},
            )
        wait_until(self.answers, self.server, log)

    def kill(self) -> None:
        """As a crash would end it; its children see to themselves."""
        if self.server:
            self.server.kill()
            self.server.wait()

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _own(self) -> dict[str, object]:
        who = account()
        return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []} if who else {}

    def _program(self, name: str) -> str:
        return find_program(name, *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
