"""Servers for tests: a free port, an account that is not root, an end by process id."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

WITHIN_SECONDS = 60


class CannotStart(Exception):
    """Why a server is not there."""


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def account() -> pwd.struct_passwd | None:
    """An ordinary account for servers that refuse to run as root; None where we are none ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise CannotStart("this machine has no account but root's")


def find_program(name: str, *folders: Path) -> str:
    """Where a program is, on the PATH or in one of the folders."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *map(str, folders)])
    found = shutil.which(name, path=path)
    if found is None:
        raise CannotStart(f"{name} is not installed")
    return found


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a server to answer; its last words are the reason where it does not."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise CannotStart(f"{process.args[0]} did not start: {_last_words(log)}")  # type: ignore[index]
        time.sleep(0.05)


def end(process: subprocess.Popen[bytes], seconds: float = 20) -> None:
    """End it politely, then for certain."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(log: Path) -> str:
    return log.read_text("utf-8", "replace").strip()[-300:] if log.exists() else "it said nothing"
