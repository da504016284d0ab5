"""The command for the judge: a set of one's own as a person runs it, and what is said when something is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bullpen

PROJECT = """\
[files]
"adding.py" = '''
import os


def add(a, b):
    return a + b
'''
"tests/test_adding.py" = '''
from adding import add


def test_add():
    assert add(1, 2) == 3
'''
"""
CHANGES = """\
[[change]]
name = "import goes"
good = true
why = "nothing uses it"
rule = "ruff:F401"
path = "adding.py"
[[change.edit]]
path = "adding.py"
old = "import os\\n"
new = ""

[[change]]
name = "sum becomes a difference"
good = false
why = "a test fails"
rule = "ruff:F401"
path = "adding.py"
[[change.edit]]
path = "adding.py"
old = "a + b"
new = "a - b"
"""


def bullpen_says(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "BULLPEN_HOME": str(home),
        "PYTHONPATH": str(Path(bullpen.__file__).parents[1]),
        "COLUMNS": "120",
    }
    argv = [sys.executable, "-m", "bullpen", "judge", "calibrate", *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "set"
    (made / "project").mkdir(parents=True)
    (made / "project" / "adding.toml").write_text(PROJECT)
    (made / "changes.toml").write_text(CHANGES)
    return made


@pytest.mark.slow
@pytest.mark.req("WFL-05")
def test_every_change_is_shown_with_what_decided(tmp_path: Path, folder: Path) -> None:
    done = bullpen_says(tmp_path / "home", str(folder))
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["import", "goes", "good", "accept", "every", "gate"] in rows
    assert ["sum", "becomes", "a", "difference", "bad", "revise", "finding_gone"] in rows
    assert "2 changes, 100.0% decided as labelled; 0 bad would be kept, 0 good would not." in done.stdout
    assert "✓ import goes" in done.stderr


@pytest.mark.slow
@pytest.mark.req("WFL-05")
def test_a_bad_change_that_would_be_kept_is_a_failure(tmp_path: Path, folder: Path) -> None:
    (folder / "changes.toml").write_text(CHANGES.replace("good = true", "good = false"))
    done = bullpen_says(tmp_path / "home", str(folder), "--json")
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert (said["false_accepts"], said["accuracy"]) == (1, 0.5)
    (first, second) = said["changes"]
    assert (first["ruling"], first["as_labelled"], first["decided_by"]) == ("accept", False, None)
    assert (second["label"], second["ruling"], second["as_labelled"]) == ("bad", "revise", True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("was", "now", "sentence"),
    [
        ("assert add(1, 2) == 3", "assert add(1, 2) == 4", "tests do not pass before any change"),
        ("import os\n", "import os\nos.sep\n", "there is no ruff:F401 at adding.py:2"),
    ],
)
def test_a_project_that_does_not_fit_is_said_in_a_sentence(
    tmp_path: Path, folder: Path, was: str, now: str, sentence: str
) -> None:
    (folder / "project" / "adding.toml").write_text(PROJECT.replace(was, now, 1))
    text = CHANGES.replace('path = "adding.py"\n[[', 'path = "adding.py"\nline = 2\n[[')
    (folder / "changes.toml").write_text(text)
    done = bullpen_says(tmp_path / "home", str(folder))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("was", "now", "sentence"),
    [
        ("good = true", "good = ?", "changes.toml, line 3: this is not TOML"),
        ('why = "a test fails"\n', "", "changes.toml, line 12: change 2: why: Field required."),
        ('old = "a + b"', 'old = "a * b"', "sum becomes a difference: adding.py does not hold this text"),
        ('old = "a + b"\nnew = "a - b"', 'old = "a + b"\nnew = "a + b"', "it changes nothing"),
    ],
)
def test_what_is_wrong_with_a_set_is_said_before_anything_runs(
    tmp_path: Path, folder: Path, was: str, now: str, sentence: str
) -> None:
    (folder / "changes.toml").write_text(CHANGES.replace(was, now))
    done = bullpen_says(tmp_path / "home", str(folder))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
