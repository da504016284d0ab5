"""``bullpen secrets``: values go in and never come out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.bad_input.ground import SOURCE, START, Ground


def given(ground: Ground, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command with text on its standard input."""
    env = {"PYTHONPATH": str(SOURCE), "BULLPEN_HOME": str(ground.home), "PATH": "/usr/bin:/bin"}
    argv = [sys.executable, "-c", START, "secrets", *words]
    return subprocess.run(argv, input=text, env=env, capture_output=True, text=True)


@pytest.mark.req("SEC-04", "CLI-01")
def test_a_value_is_kept_listed_by_name_and_removed(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    empty = ground.run("secrets", "list")
    assert (empty.status, empty.stdout) == (0, "")
    assert "bullpen secrets set NAME" in empty.stderr
    kept = given(ground, "sesame-value\n", "set", "KEY")
    assert (kept.returncode, kept.stdout, kept.stderr) == (0, "", "KEY is kept.\n")
    listed = ground.run("secrets", "list", "--json")
    assert json.loads(listed.stdout) == [{"name": "KEY", "place": "store"}]
    assert "sesame" not in ground.run("secrets", "list").said
    assert ground.run("secrets", "remove", "KEY").status == 0
    gone = ground.run("secrets", "remove", "KEY")
    assert gone.status == 2
    assert "The store holds no secret called KEY." in gone.stderr


def test_a_wrong_name_is_refused_without_the_value(tmp_path: Path) -> None:
    refused = given(Ground(tmp_path), "sesame-value", "set", "../KEY")
    assert refused.returncode == 2
    assert "cannot name a secret" in refused.stderr
    assert "sesame" not in refused.stdout + refused.stderr
