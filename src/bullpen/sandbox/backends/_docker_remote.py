"""An engine on another machine: reached, asked what it has, kept tidy.

Everything of ours there has labels: whose it is, of which run, and when that is over at the latest.
"""

import asyncio
import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound, NotFound
from docker.tls import TLSConfig
from docker.types import Mount as EngineMount

from bullpen.sandbox.backends._docker_address import Address, Tunnel, open_tunnel, read_address
from bullpen.sandbox.backends._docker_run import ATTACH, INIT_FOLDER, folders_archive
from bullpen.sandbox.backends._docker_streams import Stream, attach_plain, attach_tls
from bullpen.sandbox.linux.owners import is_dead

LAYER_LABEL = "bullpen.layer"
_OWNER, _RUN, _UNTIL = "bullpen.owner", "bullpen.run", "bullpen.until"
_SLACK_SECONDS = 3600  # clocks of machines differ
_LAYER_SECONDS = 7 * 24 * 3600
_TIMEOUT = 120
_OLDEST_API = "1.44"  # engines of today refuse less; those before it are asked what they speak
_PROGRAMS_IMAGE = "bullpen-engine-programs:1"
_TOPS = ("bin", "lib", "lib64", "lib32", "libx32")
_FOLDERS = ("usr", "etc", "work", "tmp", "proc", "dev", "sys", "run", "opt", *_TOPS, INIT_FOLDER)
_ETC = (
    "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "mime.types", "nsswitch.conf",
    "protocols", "services", "ssl/certs", "ssl/openssl.cnf", "ca-certificates", "pki/tls/certs", "pki/ca-trust",
    "crypto-policies", "login.defs", "perl", "python3", "fonts", "php",
)  # fmt: skip
_MACHINE = "/machine"


@dataclass
class Engine:
    """A connection to an engine that answered. ``running`` are the runs that are going on here."""

    api: Any
    address: Address
    tunnel: Tunnel | None = None
    running: set[str] = field(default_factory=set[str])
    places: tuple[str, ...] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    async def attach(self, container: str) -> Stream:
        """The standard streams of a container that is not started yet."""
        if self.address.certificates is None:
            return await asyncio.to_thread(attach_plain, self.api, container, ATTACH)
        words = "&".join(f"{name}={value}" for name, value in ATTACH.items())
        path = f"/v{self.api.api_version}/containers/{container}/attach?{words}"
        return await attach_tls((self.address.name, self.address.port), self.address.tls(), path)

    def close(self) -> None:
        """Give the connection up."""
        self.api.close()
        if self.tunnel:
            self.tunnel.close()

    # --- what the machine has

    def programs(self) -> list[EngineMount]:
        """The machine's own programs and the harmless part of its /etc, read-only."""
        with self.lock:
            if self.places is None:
                self.places = tuple(self._look_around())
        return [EngineMount(place, place, type="bind", read_only=True) for place in self.places]

    def base_image(self) -> str:
        """Id of an image of empty folders, into which the machine's programs are mounted."""
        try:
            return str(self.api.inspect_image(_PROGRAMS_IMAGE)["Id"])
        except ImageNotFound:
            repository, _, tag = _PROGRAMS_IMAGE.partition(":")
            self.api.import_image_from_data(folders_archive(_FOLDERS, ()), repository=repository, tag=tag)
            return str(self.api.inspect_image(_PROGRAMS_IMAGE)["Id"])

    def _look_around(self) -> Iterator[str]:
        """Which of the usual places there are; in a container that is never started."""
        mount = EngineMount(_MACHINE, "/", type="bind", read_only=True)
        wanted = ("usr", *_TOPS, *(f"etc/{name}" for name in _ETC))
        with self.unstarted(self.base_image(), [mount], uuid.uuid4().hex) as container:
            yield from (f"/{name}" for name in wanted if self._is_there(container, f"{_MACHINE}/{name}"))

    def _is_there(self, container: str, path: str) -> bool:
        url = self.api._url("/containers/{0}/archive", container)  # noqa: SLF001 - the library has no word for it
        answer = self.api.head(url, params={"path": path}, timeout=_TIMEOUT)
        return answer.status_code == 200

    # --- what is ours there

    def labels(self, run: str, seconds: float) -> dict[str, str]:
        """The labels of what a run makes that lasts so long at most."""
        until = str(int(time.time() + seconds + _SLACK_SECONDS))
        return {_OWNER: _ourselves(), _RUN: run, _UNTIL: until}

    @contextlib.contextmanager
    def unstarted(self, image: str, mounts: list[EngineMount], run: str) -> Generator[str]:
        """Id of a container that is there to look into, or to put something in, and goes."""
        with self.marked(run):
            made = self.api.create_container(
                image,
                ["true"],
                entrypoint=[],
                labels=self.labels(run, _SLACK_SECONDS),
                host_config=self.api.create_host_config(network_mode="none", mounts=mounts),
            )
            try:
                yield str(made["Id"])
            finally:
                self.remove(str(made["Id"]))

    @contextlib.contextmanager
    def marked(self, run: str) -> Generator[None]:
        """While in here, what belongs to the run is not swept."""
        self.running.add(run)
        try:
            yield
        finally:
            self.running.discard(run)

    def remove(self, container: str, volumes: tuple[str, ...] = ()) -> None:
        """Take away a container and volumes, if they are there."""
        with contextlib.suppress(NotFound):
            self.api.remove_container(container, v=True, force=True)
        for volume in volumes:
            with contextlib.suppress(NotFound):
                self.api.remove_volume(volume)

    def sweep(self) -> None:
        """Take away what runs that are over left, ours and, when their time is up, others'; and old layers."""
        mine = {"label": [_OWNER]}
        for found in self.api.containers(all=True, filters=mine):
            if self._is_left(found["Labels"]):
                self.remove(found["Id"])
        for found in self.api.volumes(filters=mine)["Volumes"] or ():
            if self._is_left(found["Labels"]):
                with contextlib.suppress(APIError):  # somebody still uses it
                    self.api.remove_volume(found["Name"])
        for found in self.api.images(filters={"label": [LAYER_LABEL]}):
            if found["Created"] < time.time() - _LAYER_SECONDS:
                with contextlib.suppress(APIError):  # in use, or others are built on it
                    self.api.remove_image(found["Id"])

    def _is_left(self, labels: Mapping[str, str]) -> bool:
        until = labels.get(_UNTIL, "")
        if until.isdigit() and int(until) < time.time():
            return True
        machine, _, process = labels.get(_OWNER, "").partition(" ")
        if machine != _machine():
            return False
        if labels[_OWNER] == _ourselves():
            return labels.get(_RUN) not in self.running
        pid, _, born = process.partition(" ")
        return is_dead(pid) or _born(pid) != born


def connect(environment: Mapping[str, str]) -> Engine:
    """Reach the engine that the environment names, and sweep what was left there.

    Raises:
        DockerException, RequestException: it does not answer.
        BullpenError: see ``read_address`` and ``open_tunnel``.
    """
    address = read_address(environment)
    tunnel = open_tunnel(address) if address.kind == "ssh" else None
    try:
        engine = Engine(_client(address, tunnel), address, tunnel)
        engine.sweep()
    except BaseException:
        if tunnel:
            tunnel.close()
        raise
    return engine


def _client(address: Address, tunnel: Tunnel | None) -> Any:
    url = tunnel.url if tunnel else f"tcp://{_bracketed(address.name)}:{address.port}"
    tls: TLSConfig | bool = False
    if address.certificates is not None:
        address.tls()  # says what is wrong with them
        ca, cert, key = (os.fspath(address.certificates / name) for name in ("ca.pem", "cert.pem", "key.pem"))
        tls = TLSConfig(client_cert=(cert, key), ca_cert=ca, verify=True)
    probe = _made(url, tls, _OLDEST_API)
    try:
        spoken = probe.version(api_version=False)["ApiVersion"]
    finally:
        probe.close()
    return _made(url, tls, spoken)


def _made(url: str, tls: TLSConfig | bool, version: str) -> Any:
    client = docker.APIClient(base_url=url, tls=tls, version=version, timeout=_TIMEOUT)
    client.trust_env = False  # or the environment could name a proxy, and other authorities than ours
    return client


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _ourselves() -> str:
    """Machine, process, and when that began: a process id alone is used again."""
    return f"{_machine()} {os.getpid()} {_born(str(os.getpid()))}"


@cache
def _machine() -> str:
    for place in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        with contextlib.suppress(OSError):
            if found := place.read_text().strip():
                return uuid.uuid5(uuid.NAMESPACE_OID, found + socket.gethostname()).hex
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"{socket.gethostname()} {uuid.getnode()}").hex


def _born(pid: str) -> str:
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
