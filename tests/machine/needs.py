"""What a test needs of the machine, each thing found out by really using it, once in a process.

A probe returns an empty string where the thing is there, else why it is not. Servers are started here, on folders and
ports of their own, and end with the session.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.machine.brokers import Broker, start_broker
from tests.machine.docker_engine import start_engine, start_remote_engine
from tests.machine.postgres import Cluster, start_cluster
from tests.machine.server import CannotStart
from tests.machine.ssh_server import SshServer, start_ssh_server

from bullpen.sandbox.backends.bubblewrap import Bubblewrap, Rights
from bullpen.sandbox.choose import BACKENDS

Probe = Callable[["Machine"], str]


@dataclass
class Machine:
    """What this machine was found to have. ``ending`` ends what was started, newest first."""

    ending: ExitStack = field(default_factory=ExitStack)
    cluster: Cluster | None = None
    brokers: dict[str, Broker] = field(default_factory=dict[str, Broker])
    remote_docker: dict[str, str] = field(default_factory=dict[str, str])
    ssh_server: SshServer | None = None
    reasons: dict[str, str] = field(default_factory=dict[str, str])

    def lacks(self, name: str) -> str:
        """Why the machine does not have it; empty where it does.

        Raises:
            KeyError: nothing of that name is known; the message lists what is.
        """
        if name not in PROBES:
            raise KeyError(f"a test needs {name!r}, which is none of: {', '.join(sorted(PROBES))}")
        if name not in self.reasons:
            try:
                self.reasons[name] = PROBES[name](self)
            except CannotStart as error:
                self.reasons[name] = str(error)
        return self.reasons[name]


def _sandbox(name: str) -> Probe:
    def probe(_machine: Machine) -> str:
        answer = asyncio.run(BACKENDS.load(name).probe())
        return "" if answer.works else answer.reason

    return probe


def _able(*weaknesses: str) -> Probe:
    """The embedded sandbox, without these weaknesses."""

    def probe(_machine: Machine) -> str:
        answer = asyncio.run(BACKENDS.load("bubblewrap").probe())
        found = [weakness for weakness in weaknesses if weakness in answer.weaknesses]
        return answer.reason if not answer.works else "; ".join(found)

    return probe


def _program(name: str) -> Probe:
    return lambda _machine: "" if shutil.which(name) else f"{name} is not installed"


def _mounts(_machine: Machine) -> str:
    dropped = Bubblewrap().rights is Rights.DROPPED
    return "this user may not mount, so files are handed over" if dropped else ""


def _docker(machine: Machine) -> str:
    if reason := _sandbox("docker")(machine):
        os.environ["DOCKER_HOST"] = machine.ending.enter_context(start_engine())
        reason = _sandbox("docker")(machine)
    return reason


def _remote_docker(machine: Machine) -> str:
    machine.remote_docker = machine.ending.enter_context(start_remote_engine())
    return ""


def _ssh_server(machine: Machine) -> str:
    machine.ssh_server = machine.ending.enter_context(start_ssh_server())
    return ""


def _postgresql(machine: Machine) -> str:
    machine.cluster = machine.ending.enter_context(start_cluster())
    return ""


def _broker(name: str) -> Probe:
    def probe(machine: Machine) -> str:
        machine.brokers[name] = machine.ending.enter_context(start_broker(name))
        return ""

    return probe


def _network(_machine: Machine) -> str:
    """A package index that really hands out a package."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    with tempfile.TemporaryDirectory() as folder:
        argv = [uv, "pip", "install", "--quiet", "--dry-run", "--no-cache", "--target", folder, "iniconfig"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 else f"no package index can be reached: {done.stderr.strip()[-200:]}"


def _root(_machine: Machine) -> str:
    return "" if os.geteuid() == 0 else "only root may do this"


def _network_namespaces(_machine: Machine) -> str:
    """One that is really made, with a link into it."""
    name = f"bp{os.getpid()}"
    try:
        subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        return "ip is not installed"
    except subprocess.CalledProcessError as error:
        return f"no network namespace can be made: {error.stderr.strip()}"
    argv = ["ip", "link", "add", f"{name}h", "type", "veth", "peer", "name", f"{name}n", "netns", name]
    linked = subprocess.run(argv, capture_output=True, text=True)
    subprocess.run(["ip", "netns", "delete", name], check=True, capture_output=True)
    return "" if linked.returncode == 0 else f"no pair of interfaces can be made: {linked.stderr.strip()}"


def _ordinary_user(_machine: Machine) -> str:
    return "" if os.geteuid() != 0 else "root may do everything, so nothing is refused"


PROBES: dict[str, Probe] = {
    "bubblewrap": _sandbox("bubblewrap"),
    "docker": _docker,
    "gcc": _program("gcc"),
    "mounts": _mounts,
    "nats": _broker("nats"),
    "network": _network,
    "network namespaces": _network_namespaces,
    "ordinary user": _ordinary_user,
    "postgresql": _postgresql,
    "processor shares": _able("processor share not limited"),
    "redis": _broker("redis"),
    "remote_docker": _remote_docker,
    "root": _root,
    "ssh server": _ssh_server,
}
