"""The command for teams: the examples as a person runs them, and what is said when something is wrong."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bullpen

EXAMPLES = Path(__file__).parents[2] / "examples" / "teams"


def bullpen_says(home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "BULLPEN_HOME": str(home),
        "PYTHONPATH": str(Path(bullpen.__file__).parents[1]),
    }
    argv = [sys.executable, "-m", "bullpen", "team", *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
@pytest.mark.req("COL-02", "COL-06")
def test_an_example_prints_what_happened(tmp_path: Path) -> None:
    done = bullpen_says(tmp_path, "run", str(EXAMPLES / "debate"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "sorting, by its tests.\nDecision: 'middle' by majority: 2 of 3 votes are for it"
    )
    assert "Conflict: contradiction over 'Which median do we keep?': tests decide" in done.stdout
    assert "Test middle -> tester: capability" in done.stderr
    refused = bullpen_says(tmp_path, "run", str(EXAMPLES / "debate"), "--resume")
    assert (refused.returncode, "was interrupted" in refused.stderr) == (2, True)


@pytest.mark.slow
def test_a_goal_that_is_not_reached_is_a_failure(tmp_path: Path) -> None:
    folder = tmp_path / "team"
    shutil.copytree(EXAMPLES / "blackboard", folder)
    (folder / "agents" / "reader").unlink()
    done = bullpen_says(tmp_path / "home", "run", str(folder), "--json")
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert (said["state"], said["reason"]) == (
        "failed",
        "0 facts after 1 rounds; start command could not be found.",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "There is no team.yaml in "),
        ("goal: [", "is not YAML"),
        ("goal: x\npattern: lead_worker\ncolour: red\n", "line 3, column 1: 'colour' is not known here."),
        ("goal: x\npattern: nothing\n", "There is no 'nothing' in bullpen.flow.patterns"),
        ("goal: x\npattern: lead_worker\n", "No agent offers 'lead'"),
        ("goal: x\npattern: lead_worker\nagents: a/../../b\n", "leads out of"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said_in_a_sentence(
    tmp_path: Path, text: str | None, sentence: str
) -> None:
    folder = tmp_path / "team"
    folder.mkdir()
    if text is not None:
        (folder / "team.yaml").write_text(text)
        shutil.copytree(EXAMPLES / "debate" / "agents", folder / "agents")
    done = bullpen_says(tmp_path / "home", "run", str(folder))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.req("AGT-05")
def test_a_faulty_agent_is_set_aside_and_the_others_work(tmp_path: Path) -> None:
    folder = tmp_path / "team"
    shutil.copytree(EXAMPLES / "debate", folder)
    (folder / "agents" / "faulty").write_text("#!/bin/sh\n")
    (folder / "agents" / "faulty").chmod(0o755)
    done = bullpen_says(tmp_path / "home", "run", str(folder))
    assert done.returncode == 0, done.stderr
    assert "set aside: " in done.stderr
    assert "faulty: an executable without a manifest" in done.stderr


def test_patterns_are_listed(tmp_path: Path) -> None:
    done = bullpen_says(tmp_path, "patterns", "--json")
    assert list(json.loads(done.stdout)) == [
        "blackboard",
        "debate",
        "hierarchical",
        "lead_worker",
        "peer_to_peer",
        "pipeline",
    ]
