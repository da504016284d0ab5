"""Where an engine is, read from what ``DOCKER_HOST`` says; how it is reached, if it is on another machine."""

import ipaddress
import os
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from bullpen.domain.errors import InvalidInput, Missing, PermissionRefused, Unavailable

REMOTE = "remote_docker"
_SET = (
    "Set DOCKER_HOST=ssh://USER@HOST, or DOCKER_HOST=tcp://HOST:2376 and DOCKER_CERT_PATH to the folder of "
    "ca.pem, cert.pem and key.pem."
)
_ENGINE_SOCKET = "/var/run/docker.sock"
_LOCAL = ("", "unix", "npipe", "fd", "http+unix")
_CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")
_TUNNEL_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Address:
    """An engine on another machine. ``certificates`` is the folder of ca.pem, cert.pem and key.pem; None: no TLS.

    ``kind`` is ``tcp`` or ``ssh``. ``path`` is the engine's socket on a machine that is reached by ssh.
    """

    kind: str
    name: str
    port: int
    certificates: Path | None = None
    user: str = ""
    path: str = _ENGINE_SOCKET

    def tls(self) -> ssl.SSLContext:
        """What checks the engine's certificate, and shows ours.

        Raises:
            Missing: a certificate cannot be read.
        """
        assert self.certificates is not None  # noqa: S101 - asked of encrypted addresses only
        authority, own, key = (self.certificates / name for name in _CERTIFICATES)
        try:
            context = ssl.create_default_context(cafile=authority)
            context.load_cert_chain(own, key)
        except (OSError, ssl.SSLError) as error:
            raise Missing(
                f"The certificates in {os.fspath(self.certificates)!r} cannot be used ({error}).", remedy=_SET
            ) from error
        return context


def check_local(host: str) -> None:
    """Refuse an engine on another machine: what is mounted would not be there.

    Raises:
        Missing: ``host``, as ``DOCKER_HOST`` has it, names another machine.
    """
    parts = _split(host)
    if parts.scheme in _LOCAL or (parts.scheme != "ssh" and is_loopback(parts.hostname or "localhost")):
        return
    raise Missing(
        f"DOCKER_HOST names another machine ({parts.hostname}), where this machine's files cannot be mounted.",
        remedy=f"Set the sandbox to {REMOTE}, or unset DOCKER_HOST.",
    )


def read_address(environment: Mapping[str, str]) -> Address:
    """The engine that ``DOCKER_HOST``, ``DOCKER_CERT_PATH`` and ``DOCKER_TLS_VERIFY`` name.

    Raises:
        Missing: they name no other machine, or its certificates are not there.
        InvalidInput: the address cannot be read.
        PermissionRefused: nothing would be encrypted on the way.
    """
    host = environment.get("DOCKER_HOST", "").strip()
    parts = _split(host)
    if parts.scheme in _LOCAL:
        raise Missing("DOCKER_HOST names no other machine.", remedy=_SET)
    if parts.scheme not in {"tcp", "https", "ssh"} or not parts.hostname or parts.password:
        raise InvalidInput("DOCKER_HOST is neither ssh://USER@HOST nor tcp://HOST:PORT.", remedy=_SET)
    if parts.scheme == "ssh":
        return _ssh(parts)
    return _tcp(parts, _certificates(environment, encrypted=parts.scheme == "https"))


def is_loopback(name: str) -> bool:
    """Whether it is this machine's own address."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name.lower() == "localhost"


def _split(host: str) -> SplitResult:
    try:
        parts = urlsplit(host if "://" in host or not host else f"tcp://{host}")
        _ = parts.port
    except ValueError as error:
        raise InvalidInput(f"DOCKER_HOST cannot be read: {error}.", remedy=_SET) from error
    return parts


def _ssh(parts: SplitResult) -> Address:
    name, user = parts.hostname or "", parts.username or ""
    if name.startswith("-") or user.startswith("-"):
        raise InvalidInput("DOCKER_HOST holds a name that begins with '-'.", remedy=_SET)
    path = parts.path if parts.path not in {"", "/"} else _ENGINE_SOCKET
    return Address("ssh", name, parts.port or 0, user=user, path=path)


def _tcp(parts: SplitResult, certificates: Path | None) -> Address:
    name = parts.hostname or ""
    if certificates is None and not is_loopback(name):
        raise PermissionRefused(
            f"The engine at {name} would be spoken to unencrypted: anyone on the way could take it over.",
            remedy=_SET,
        )
    return Address("tcp", name, parts.port or (2376 if certificates else 2375), certificates)


def _certificates(environment: Mapping[str, str], *, encrypted: bool) -> Path | None:
    """The same rule as Docker's own client, but that an engine's certificate is always checked."""
    named = environment.get("DOCKER_CERT_PATH", "")
    if not named and not environment.get("DOCKER_TLS_VERIFY") and not encrypted:
        return None
    folder = Path(named) if named else Path.home() / ".docker"
    lacking = [name for name in _CERTIFICATES if not (folder / name).is_file()]
    if lacking:
        raise Missing(f"There is no {' and no '.join(lacking)} in {os.fspath(folder)!r}.", remedy=_SET)
    return folder


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A socket of this machine that leads to an engine's on another, as long as ``process`` runs."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Its address, for a client."""
        return f"unix://{self.folder / 'engine'}"

    def close(self) -> None:
        """End it."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def open_tunnel(address: Address) -> Tunnel:
    """Reach an engine with the ``ssh`` command, so with its configuration, its keys and its list of known hosts.

    The command on the other side reads from us: it ends when this process does, however that dies.

    Raises:
        Missing: there is no ``ssh`` here.
        Unavailable: the machine does not let us in, or is not there.
    """
    program = shutil.which("ssh")
    if program is None:
        raise Missing("There is no ssh command here.", remedy="Install it: apt-get install openssh-client.")
    folder = Path(tempfile.mkdtemp(prefix="bullpen-ssh-"))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, *_arguments(address, folder / "engine")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    tunnel = Tunnel(folder, process)
    deadline = time.monotonic() + _TUNNEL_SECONDS
    while not (folder / "engine").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            said = (folder / "log").read_text("utf-8", "replace").strip()[-300:]
            tunnel.close()
            raise Unavailable(
                f"The Docker host {address.name} cannot be reached by ssh: {said or 'it does not answer'}",
                remedy=f"Try it by hand: ssh {address.name} true",
            )
        time.sleep(0.02)
    return tunnel


def _arguments(address: Address, local: Path) -> list[str]:
    options = ("BatchMode=yes", "ExitOnForwardFailure=yes", "ServerAliveInterval=15", "ServerAliveCountMax=3")
    return [
        *(word for option in options for word in ("-o", option)),
        "-T",
        *("-L", f"{local}:{address.path}"),
        *(("-p", str(address.port)) if address.port else ()),
        *(("-l", address.user) if address.user else ()),
        "--",
        address.name,
        "exec cat",
    ]
