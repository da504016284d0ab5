"""Runs inside the sandbox: pytest is imported once, and each run of tests is a fork of this process.

One line of JSON in for each run, one out when it has ended. Imports nothing of Bullpen.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any


def warm() -> None:
    """Import what every run of pytest imports."""
    config = importlib.import_module("_pytest.config")
    named = os.environ.get("PYTEST_PLUGINS", "").split(",")
    for name in [*(f"_pytest.{one}" for one in config.default_plugins), *filter(None, named)]:
        importlib.import_module(name)


def run_tests(asked: dict[str, Any]) -> None:
    """In the child: become what a process of its own would be, and never return."""
    os.setsid()
    output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.chdir(asked["folder"])
    os.environ.update(asked["variables"])
    sys.path.insert(0, asked["folder"])
    sys.argv = ["pytest", *asked["arguments"]]
    pytest = importlib.import_module("pytest")
    status = int(pytest.main(asked["arguments"]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def ended(child: int, seconds: float) -> int | None:
    """The status of a child, None where it was too slow and was killed; negative for a signal, as ``subprocess`` has it."""
    descriptor = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what it has left behind goes too
    _, raw = os.waitpid(child, 0)
    if not ready:
        return None
    return -os.WTERMSIG(raw) if os.WIFSIGNALED(raw) else os.WEXITSTATUS(raw)


def main() -> None:
    """Until standard input ends."""
    warm()
    for line in sys.stdin:
        asked = json.loads(line)
        Path(asked["scratch"]).mkdir()
        child = os.fork()
        if child == 0:
            try:
                run_tests(asked)
            finally:
                os._exit(70)
        status = ended(child, asked["seconds"])
        shutil.rmtree(asked["scratch"], ignore_errors=True)
        sys.stdout.write(json.dumps({"status": status}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
