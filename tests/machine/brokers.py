"""Message brokers of the tests' own: their folders, their ports, kept through a kill."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.machine.server import end, find_program, free_port, wait_until


@dataclass
class Broker:
    """A server that can be killed and started again on what it had kept."""

    url: str
    argv: list[str]
    port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it takes connections."""
        (self.log.parent / "data").mkdir(exist_ok=True)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(self.argv, cwd=self.log.parent, stdout=output, stderr=output)
        wait_until(self._answers, self.process, self.log)

    def kill(self) -> None:
        """As a crash does, without a word."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def empty(self) -> None:
        """Started again, on nothing."""
        self.kill()
        shutil.rmtree(self.log.parent / "data", ignore_errors=True)
        self.start()

    def _answers(self) -> bool:
        try:
            with closing(socket.create_connection(("127.0.0.1", self.port), timeout=2)) as connection:
                connection.sendall(b"PING\r\n")
                return bool(connection.recv(1))
        except OSError:
            return False


@contextmanager
def start_broker(name: str) -> Iterator[Broker]:
    """``redis`` or ``nats``; it ends, and its folder goes, with the context."""
    program = find_program(f"{name}-server")
    with tempfile.TemporaryDirectory(prefix=f"bullpen-{name}-") as folder:
        port = free_port()
        argv = {"redis": _redis, "nats": _nats}[name](program, f"{folder}/data", port)
        broker = Broker(f"{name}://127.0.0.1:{port}", argv, port, Path(folder) / "log")
        broker.start()
        try:
            yield broker
        finally:
            assert broker.process is not None
            end(broker.process)


def _redis(program: str, folder: str, port: int) -> list[str]:
    kept = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    return [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", folder, *kept]


def _nats(program: str, folder: str, port: int) -> list[str]:
    return [program, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder]
