"""``bullpen insights``: what finished sessions teach, and settings that a person holds; on real sessions."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.bad_input.ground import SAMPLE, Ground

SCRIPT = """#!/bin/sh
# ---
# name: fixer
# version: 1.0.0
# purpose: An agent of the tests whose change is wrong.
# capabilities: [develop, qa, "rule:ruff:plw0127"]
# limits: {restarts: 0}
# ---
read -r task
sed -i '/a = a/d; s/a + b/a - b/' sums.py
echo '{"type":"result","outcome":"done","summary":"did it"}'
"""
FILES = {
    **SAMPLE,
    "sums.py": "import os\nimport sys\n\n\ndef add(a, b):\n    a = a\n    return a + b\n",
    "more.py": "import re\n",
    "most.py": "import io\n",
}


def events(ground: Ground, session: str, kind: str) -> list[dict[str, Any]]:
    told = ground.run("sessions", "replay", session, "--json").stdout.splitlines()
    return [one["event"] for one in map(json.loads, told) if one["type"] == kind]


def insights(ground: Ground, *words: str) -> Any:
    answer = ground.run("insights", *words, "--json")
    assert answer.status == 0, answer.said
    return json.loads(answer.stdout)


@pytest.mark.req("LRN-01", "CLI-01")
def test_before_the_first_session_it_says_what_to_do(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    answer = ground.run("insights")
    assert answer.status == 0
    assert "Nothing is known of any agent yet. Run `bullpen improve PATH` first." in answer.stderr
    assert "No pattern stands out in 0 finished runs." in answer.stderr
    assert "Adapting is off. Set BULLPEN_ADAPT=true" in answer.stderr
    found = insights(ground)
    assert (found["runs"], found["agents"], found["patterns"]) == (0, [], [])
    assert [(one["name"], one["value"], one["state"]) for one in found["settings"]] == [
        ("retries", "2", "set"),
        ("parallel", "8", "set"),
        ("seconds", "1800", "set"),
    ]


@pytest.mark.req("LRN-03", "CLI-01")
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("pin", "colour", "red"), 2, "There is no setting 'colour' that could be adapted."),
        (("pin", "retries", "9"), 2, "retries is a whole number from 0 to 5, not '9'."),
        (("release", "retries"), 4, "retries is not pinned."),
        (("undo", "retries"), 2, "retries was never changed."),
        (("agents", "--by", "colour"), 2, "Invalid value for '--by'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    tmp_path: Path, words: tuple[str, ...], status: int, said: str
) -> None:
    answer = Ground(tmp_path).run("insights", *words)
    assert answer.status == status
    assert said in answer.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.req("LRN-01", "LRN-02", "LRN-03")
def test_sessions_teach_and_begin_with_the_settings_that_hold(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    (ground.home / "agents").mkdir(parents=True)
    (ground.home / "agents" / "fixer").write_text(SCRIPT)
    (ground.home / "agents" / "fixer").chmod(0o755)
    path = ground.repository("sums", FILES)
    assert ground.improve(path, "--session", "one").status == 0
    assert len(events(ground, "one", "ChangeRefused")) == 3
    widths = [len(one["items"]) for one in events(ground, "one", "WaveStarted")]
    assert max(widths) > 1
    agents = {one["name"]: (one["successes"], one["runs"]) for one in insights(ground, "agents")}
    assert agents["fixer"] == (0, 3)
    assert agents["developer"][0] == agents["developer"][1] > 0
    rules = {one["name"]: one["successes"] for one in insights(ground, "agents", "--by", "rule")}
    assert rules["ruff:PLW0127"] == 0
    models = [one["name"] for one in insights(ground, "agents", "--by", "model")]
    assert "playbook:rules" in models
    assert insights(ground, "agents", "--repo", str(tmp_path / "elsewhere")) == []
    shown = ground.run("insights").stdout
    assert "fixer" in shown
    assert "●" in shown

    assert ground.run("insights", "pin", "retries", "0").status == 0
    assert ground.run("insights", "pin", "parallel", "1").status == 0
    other = ground.repository("others", {**FILES, "third.py": "import json\n"})
    assert ground.improve(other, "--session", "two").status == 0
    assert len(events(ground, "two", "ChangeRefused")) == 1
    assert {len(one["items"]) for one in events(ground, "two", "WaveStarted")} == {1}
    held = {one["name"]: (one["value"], one["set"], one["state"]) for one in insights(ground, "settings")}
    assert held["retries"] == ("0", "2", "pinned")
    assert ground.run("insights", "undo", "retries").status == 0
    held = {one["name"]: (one["value"], one["state"]) for one in insights(ground, "settings")}
    assert held["retries"] == ("2", "pinned")
