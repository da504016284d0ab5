"""A Docker engine of the tests' own: its folder and its socket; it touches no other engine's network."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import DockerException
from tests.machine.server import CannotStart, end, find_program, wait_until


@contextmanager
def start_engine() -> Iterator[str]:
    """The address of an engine that answers; it ends, and its folder goes, with the context."""
    if os.geteuid() != 0:
        raise CannotStart("no Docker engine answers, and only root can start one")
    dockerd = find_program("dockerd")
    with tempfile.TemporaryDirectory(prefix="bullpen-dockerd-") as name:
        folder = Path(name)
        address, log = f"unix://{folder / 'socket'}", folder / "log"
        argv = [
            dockerd,
            f"--host={address}",
            f"--data-root={folder / 'data'}",
            f"--exec-root={folder / 'run'}",
            f"--pidfile={folder / 'pid'}",
            "--iptables=false",
            "--ip6tables=false",
            f"--bridge={'none' if not Path('/sys/class/net/docker0').exists() else 'docker0'}",
        ]
        with log.open("wb") as output:
            engine = subprocess.Popen(argv, stdout=output, stderr=output)
        try:
            wait_until(lambda: _answers(address), engine, log)
            yield address
        finally:
            end(engine)
            _unmount_below(folder)


def _answers(address: str) -> bool:
    try:
        client = docker.DockerClient(base_url=address, timeout=5)
    except DockerException:
        return False
    try:
        return client.ping()
    except (DockerException, OSError):
        return False
    finally:
        client.close()


def _unmount_below(folder: Path) -> None:
    """What the engine left mounted would keep the folder from going."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((one for one in mounted if one.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False)
