"""An ssh server of the tests' own on loopback, with its own keys; and an ``ssh`` command that knows them."""

import os
import shlex
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.machine.server import CannotStart, end, find_program, free_port, wait_until

_UNPACKED = Path(__file__).parents[2] / ".programs" / "usr" / "sbin"  # see scripts/setup
_SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
"""
_CLIENT = """
Host *
    IdentityFile {folder}/user
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known
"""
# The server wants a user and a folder of its own, which are made for it alone.
_START = (
    'mount --bind "$0/passwd" /etc/passwd && mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec "$@"'
)


@dataclass(frozen=True, slots=True)
class SshServer:
    """``programs`` is a folder to put first on the PATH."""

    port: int
    programs: Path


@contextmanager
def start_ssh_server() -> Iterator[SshServer]:
    """One that lets us in as the user we are, by key."""
    if os.geteuid() != 0:
        raise CannotStart("only root can start an ssh server")
    server, client = find_program("sshd", _UNPACKED), find_program("ssh")
    with tempfile.TemporaryDirectory(prefix="bullpen-sshd-") as name:
        folder, port = Path(name), free_port()
        _prepare(folder, port, client)
        log = folder / "log"
        argv = ["unshare", "--mount", "sh", "-c", _START, name, server, "-D", "-e", "-f", f"{folder}/server"]
        with log.open("wb") as output:
            process = subprocess.Popen(argv, stdout=output, stderr=output)
        try:
            wait_until(lambda: _listens(port), process, log)
            yield SshServer(port, folder / "bin")
        finally:
            end(process)


def _prepare(folder: Path, port: int, client: str) -> None:
    for key in ("host", "user"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{key}"]
        subprocess.run(argv, check=True, capture_output=True)
    (folder / "server").write_text(_SERVER.format(folder=folder, port=port))
    (folder / "client").write_text(_CLIENT.format(folder=folder))
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    users = Path("/etc/passwd").read_text()
    separated = "" if "\nsshd:" in users else "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
    (folder / "passwd").write_text(users + separated)
    (folder / "bin").mkdir()
    wrapper = folder / "bin" / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(client)} -F {folder}/client "$@"\n')
    wrapper.chmod(0o755)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
