"""Test suites that hang, flood, kill, delete or reach out: contained, told of, and nothing of the user's is touched."""

import pytest
from tests.e2e.bad_input.ground import SAMPLE, Ground, snapshot

pytestmark = [pytest.mark.slow, pytest.mark.req("BOX-02")]

HANGS = "import time\n\n\ndef test_it():\n    time.sleep(3600)\n"
NEEDS_THE_NETWORK = (
    "import socket\n\n\ndef test_it():\n    socket.create_connection(('127.0.0.1', 22), timeout=2)\n"
)
WRITES_OUTSIDE = "import pathlib\n\n\ndef test_it():\n    pathlib.Path({outside!r}).write_text('x')\n"
KILLS = "import os\n\n\ndef test_it():\n    os.kill(-1, 9)\n"
KILLS_ITS_PARENT = "import os\n\n\ndef test_it():\n    os.kill(os.getppid(), 9)\n"
FLOODS = "import os\n\n\ndef test_it():\n    for _ in range(1024):\n        os.write(1, b'y' * 1048576)\n"
EATS_MEMORY = "def test_it():\n    eaten = []\n    while True:\n        eaten.append(bytearray(50_000_000))\n"
DELETES = (
    "import pathlib, shutil\n\nfor path in [*pathlib.Path().rglob('*.py'), *pathlib.Path().glob('.git')]:\n"
    "    path.unlink() if path.is_file() else shutil.rmtree(path)\n"
    "shutil.rmtree({folder!r}, ignore_errors=True)\n"
)


@pytest.mark.parametrize(
    ("name", "text", "end", "done"),
    [
        ("tests/test_it.py", HANGS, "timeout", 0),
        ("tests/test_it.py", NEEDS_THE_NETWORK, "finished", 1),
        ("tests/test_it.py", WRITES_OUTSIDE, "finished", 1),
        ("tests/test_it.py", FLOODS, "", None),
        ("tests/test_it.py", EATS_MEMORY, "killed", 0),
        ("tests/test_it.py", KILLS_ITS_PARENT, "", None),
        ("tests/test_it.py", KILLS, "", None),
        ("conftest.py", DELETES, "not-started", 0),
    ],
    ids=[
        "hangs",
        "network",
        "writes-outside",
        "floods",
        "eats-memory",
        "kills-parent",
        "kills-all",
        "deletes",
    ],
)
def test_a_suite_that_misbehaves(ground: Ground, name: str, text: str, end: str, done: int | None) -> None:
    outside = ground.folder / "outside"
    text = text.format(outside=str(outside), folder=str(ground.folder)) if "{" in text else text
    path = ground.repository("repository", {**SAMPLE, name: text})
    before = snapshot(path)
    answer = ground.improve(path, env={"BULLPEN_TEST_SECONDS": "10", "BULLPEN_MEMORY_MIB": "512"})
    assert answer.status == 0, answer.said
    assert snapshot(path) == before
    assert not outside.exists()
    assert not end or answer.result["tests_before"]["end"] == end
    assert done is None or answer.result["done"]["count"] == done
