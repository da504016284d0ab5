"""On a real terminal: the tree is drawn, Ctrl-C stops cleanly, and the session goes on from there."""

import os
import pty
import re
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
pytestmark = pytest.mark.slow
LONGEST = 240.0  # seconds


def on_a_terminal(argv: list[str], env: dict[str, str], until: bytes) -> tuple[int, str]:
    """Run on a pseudo-terminal; press Ctrl-C once, when ``until`` was seen. The status and all that was written."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, {**env, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"})  # noqa: S606
    written, pressed, ends_at = b"", False, time.monotonic() + LONGEST
    while time.monotonic() < ends_at:
        ready, _, _ = select.select([terminal], [], [], 1)
        try:
            piece = os.read(terminal, 65536) if ready else b""
        except OSError:  # the program is gone
            break
        written += piece
        if until and until in written and not pressed:
            os.write(terminal, b"\x03")
            pressed = True
    else:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), written.decode("utf-8", "replace")


@pytest.mark.req("CLI-01", "IMP-07")
def test_the_tree_is_drawn_and_an_interrupted_session_goes_on(
    faulty: Path, tmp_path: Path, argv: Run, environment_of: Run, bullpen_in: Run
) -> None:
    env = {name: value for name, value in environment_of(tmp_path).items() if name != "NO_COLOR"}
    status, written = on_a_terminal(argv("improve", faulty), env, until=b"developer: ")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert status == 130
    assert "Traceback" not in plain
    assert "\x1b[" in written
    assert "▶ " in plain
    assert " items" in plain
    found = re.search(r"--resume --session (ses-\w+)", plain)
    assert found
    assert "Nothing is lost" in plain
    rest = bullpen_in(tmp_path, "improve", faulty, "--resume", "--session", found[1], "--json")
    assert rest.status == 0, rest.err
    assert rest.value["session"] == found[1]
    assert rest.value["done"]["count"] >= 1


@pytest.mark.req("CLI-01")
def test_without_colour_nothing_moves(clean: Path, tmp_path: Path, argv: Run, environment_of: Run) -> None:
    env = {**environment_of(tmp_path), "NO_COLOR": "1"}
    status, written = on_a_terminal(argv("improve", clean), env, until=b"")
    assert status == 0
    assert "\x1b[" not in written
    assert "opened main@" in written
    assert "is clean" in written
