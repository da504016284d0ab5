"""An agent that needs a key works in ``bullpen improve``, and the key is nowhere but at the address it is for."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.e2e.bad_input.ground import SAMPLE, Ground

SECRET = "planted-4f9k2m0xqa-7c1d9e"  # noqa: S105 - planted, to be looked for
SELF = "import os\n\n\ndef add(a, b):\n    a = a\n    return a + b\n"
PROGRAM = """#!/usr/bin/python3
import json, os, urllib.request

task = json.loads(input())
print(json.dumps({"type": "progress", "text": "my key is " + os.environ["KEY"]}))
request = urllib.request.Request(os.environ["MODEL"] + "/echo", headers={"Authorization": "Bearer " + os.environ["KEY"]})
said = urllib.request.urlopen(request).read().decode()
print(json.dumps({"type": "progress", "text": said}))
text = open("sums.py").read().replace("    a = a\\n", "")
open("sums.py", "w").write(text)
print(json.dumps({"type": "result", "outcome": "done", "summary": "it said " + said, "data": {"said": said}}))
"""
MANIFEST = """name: fixer
version: 1.0.0
purpose: An agent of the tests that asks a model.
capabilities: [develop, qa, "rule:ruff:plw0127"]
command: [./fixer.py]
url: {url}
secret: MODEL_KEY
env: {{MODEL: "{{broker}}", KEY: "{{token}}"}}
limits: {{restarts: 0}}
"""


@dataclass
class Model:
    """A server that repeats the key it was called with; ``keys`` are those."""

    url: str
    keys: list[str] = field(default_factory=list)


@pytest.fixture
def model() -> Iterator[Model]:
    found = Model("")

    class Echo(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.keys.append(self.headers.get("Authorization", ""))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(found.keys[-1].encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the library
            """Nothing of the requests is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def equip(ground: Ground, url: str) -> None:
    folder = ground.home / "agents" / "fixer"
    folder.mkdir(parents=True)
    (folder / "agent.yaml").write_text(MANIFEST.format(url=url))
    (folder / "fixer.py").write_text(PROGRAM)
    (folder / "fixer.py").chmod(0o755)


def holding(folder: Path, *leave_out: str) -> list[str]:
    """Files below a folder that hold the planted key."""
    files = [one for one in folder.rglob("*") if one.is_file() and not one.is_symlink()]
    kept = [one for one in files if not any(part in leave_out for part in one.relative_to(folder).parts)]
    return [str(one) for one in kept if SECRET.encode() in one.read_bytes()]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.req("SEC-04")
@pytest.mark.parametrize("place", ["environment", "file", "store", "variable"])
def test_a_key_gets_to_its_model_and_into_no_record(tmp_path: Path, model: Model, place: str) -> None:
    ground = Ground(tmp_path)
    path = ground.repository("sums", {**SAMPLE, "sums.py": SELF})
    equip(ground, model.url)
    env = {
        "environment": {"THEIR_KEY": SECRET, "BULLPEN_SECRETS": '{"MODEL_KEY": "env:THEIR_KEY"}'},
        "file": {"BULLPEN_SECRETS": json.dumps({"MODEL_KEY": f"file:{tmp_path / 'keys' / 'model'}"})},
        "store": {},
        "variable": {"BULLPEN_SECRET_MODEL_KEY": SECRET},
    }[place]
    if place == "file":
        (tmp_path / "keys").mkdir()
        (tmp_path / "keys" / "model").write_text(SECRET + "\n")
    if place == "store":
        (ground.home / "secrets").mkdir(mode=0o700)
        (ground.home / "secrets" / "MODEL_KEY").write_text(SECRET)
    answer = ground.improve(path, "--session", "one", env=env)
    assert answer.status == 0, answer.said
    assert model.keys == [f"Bearer {SECRET}"]
    assert "a = a" not in ground.git(path, "show", "bullpen/one:sums.py")
    events = ground.run("sessions", "replay", "one", "--json").stdout
    assert "Bearer [redacted]" in events
    shown = [events, answer.said, ground.reports(), ground.git(path, "log", "--all", "--patch")]
    assert not any(SECRET in text for text in shown)
    assert holding(ground.home, "secrets") == []
    assert holding(path) == []


@pytest.mark.slow
@pytest.mark.req("SEC-04")
def test_without_its_key_an_agent_is_not_called_and_it_is_said_what_to_do(
    tmp_path: Path, model: Model
) -> None:
    ground = Ground(tmp_path)
    path = ground.repository("sums", {**SAMPLE, "sums.py": SELF})
    equip(ground, model.url)
    answer = ground.improve(path, "--session", "one")
    assert answer.status == 0, answer.said
    assert model.keys == []
    events = ground.run("sessions", "replay", "one", "--json").stdout
    assert "There is no secret called MODEL_KEY. Set it: bullpen secrets set MODEL_KEY" in events
