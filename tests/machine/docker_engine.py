"""A Docker engine of the tests' own: its folder and its socket; it touches no other engine's network."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import DockerException
from docker.tls import TLSConfig
from tests.machine.server import CannotStart, end, find_program, free_port, wait_until


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


@contextmanager
def start_remote_engine() -> Iterator[dict[str, str]]:
    """Where an engine is that stands for another machine, in the variables of Docker's own client.

    It is spoken to over TLS. In namespaces of its own, our processes and the folders that tests use are not there: nothing of them
    can be mounted by accident.
    """
    if os.geteuid() != 0:
        raise CannotStart("only root can start a Docker engine")
    find_program("dockerd")
    find_program("openssl")
    with tempfile.TemporaryDirectory(prefix="bullpen-remote-", dir="/var/tmp") as name:
        folder = Path(name)
        make_certificates(folder)
        with serve_remote(folder, free_port()) as environment:
            yield environment


@contextmanager
def serve_remote(folder: Path, port: int, *, rude: bool = False) -> Iterator[dict[str, str]]:
    """Such an engine, with the certificates and the data that are in ``folder``; a rude one ends without a word."""
    usual = Path(tempfile.gettempdir())
    hidden = ["/tmp"] if usual.is_relative_to("/tmp") else ["/tmp", str(usual)]
    script = (
        'for folder in $HIDDEN; do mount -t tmpfs -o mode=1777 tmpfs "$folder" || exit 1; done; exec "$@"'
    )
    argv = [
        *(
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            script,
            "sh",
            find_program("dockerd"),
        ),
        *(f"--host=tcp://127.0.0.1:{port}", f"--host=unix://{folder}/run/socket"),
        *("--tlsverify", f"--tlscacert={folder}/ca.pem"),
        *(f"--tlscert={folder}/server.pem", f"--tlskey={folder}/server-key.pem"),
        *(f"--data-root={folder}/data", f"--exec-root={folder}/run", f"--pidfile={folder}/run/pid"),
        *("--iptables=false", "--ip6tables=false"),
        f"--bridge={'none' if not Path('/sys/class/net/docker0').exists() else 'docker0'}",
    ]
    environment = {"DOCKER_HOST": f"tcp://127.0.0.1:{port}", "DOCKER_CERT_PATH": str(folder)}
    log = folder / "log"
    shutil.rmtree(folder / "run", ignore_errors=True)  # no machine finds that again when it starts
    (folder / "run").mkdir()
    with log.open("wb") as output:
        place = {**os.environ, "HIDDEN": " ".join(hidden)}
        engine = subprocess.Popen(argv, stdout=output, stderr=output, env=place)
    try:
        wait_until(lambda: remote_answers(environment), engine, log)
        yield environment
    finally:
        _switch_off(engine, rude=rude)
        _unmount_below(folder)


def _switch_off(machine: subprocess.Popen[bytes], *, rude: bool) -> None:
    """End the engine, or at once all that runs on its machine, as when the power fails."""
    children = Path(f"/proc/{machine.pid}/task/{machine.pid}/children")
    engine = children.read_text().split() if children.exists() else []
    if rude or not engine:
        machine.kill()
    else:
        os.kill(int(engine[0]), signal.SIGTERM)
    try:
        machine.wait(20)
    except subprocess.TimeoutExpired:
        machine.kill()
        machine.wait()


def make_certificates(folder: Path) -> None:
    """An authority (ca.pem), a server of 127.0.0.1 (server.pem) and a client (cert.pem), each with a key."""
    ways = {"server": "subjectAltName=IP:127.0.0.1", "client": "extendedKeyUsage=clientAuth"}
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    authority = ("-keyout", f"{folder}/ca-key.pem", "-out", f"{folder}/ca.pem", "-subj", "/CN=tests")
    _openssl("req", "-x509", *key, *authority)
    for name, extension in ways.items():
        stem = {"server": ("server", "server-key"), "client": ("cert", "key")}[name]
        files = ("-keyout", f"{folder}/{stem[1]}.pem", "-out", f"{folder}/{stem[0]}.pem")
        signed = ("-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca-key.pem")
        _openssl(
            "req",
            "-x509",
            *key,
            *files,
            *signed,
            "-subj",
            f"/CN={name}",
            "-addext",
            extension,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        )


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True)
    if done.returncode:
        raise CannotStart(f"no certificate can be made: {done.stderr.strip()[-300:]}")


def remote_answers(environment: dict[str, str]) -> bool:
    """Whether the engine there answers us."""
    folder = environment["DOCKER_CERT_PATH"]
    tls = TLSConfig((f"{folder}/cert.pem", f"{folder}/key.pem"), f"{folder}/ca.pem", verify=True)
    return _answers(environment["DOCKER_HOST"], tls)


def _answers(address: str, tls: TLSConfig | bool = False) -> bool:
    try:
        client = docker.APIClient(base_url=address, tls=tls, timeout=5, version="1.41")
    except DockerException:
        return False
    client.trust_env = False  # authorities of the environment would take the place of ours
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
