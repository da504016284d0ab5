"""What no recipe mends goes to agents that need none, through the same gates; without such agents nothing changes."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.bad_input.ground import SAMPLE, Ground

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RULE = "ruff:PLW0127"
SELF = "import os\n\n\ndef add(a, b):\n    a = a\n    return a + b\n"
FILES = {**SAMPLE, "sums.py": SELF}
SCRIPT = """#!/bin/sh
# ---
# name: {name}
# version: 1.0.0
# purpose: An agent of the tests.
# capabilities: [{capabilities}]
# limits: {{restarts: 0}}
# ---
read -r task
sed -i '{edit}' sums.py
echo '{{"type":"result","outcome":"done","summary":"did it"}}'
"""
RIGHT = "/a = a/d"
WRONG = "/a = a/d; s/a + b/a - b/"


def agent(ground: Ground, name: str, capabilities: str, edit: str) -> None:
    """An agent of the person's that is a shell script."""
    folder = ground.home / "agents"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(SCRIPT.format(name=name, capabilities=capabilities, edit=edit))
    file.chmod(0o755)


def item(ground: Ground) -> dict[str, Any]:
    """The item about the rule, as the session left it."""
    items = json.loads(ground.run("items", "list", "--session", "one", "--json").stdout)
    return next(one for one in items if one["draft"]["rule"] == RULE)


def assigned(ground: Ground, session: str = "one") -> list[str]:
    told = ground.run("sessions", "replay", session, "--json").stdout.splitlines()
    events = [one for one in map(json.loads, told) if one["type"] == "TaskAssigned"]
    return [one["event"]["agent"] for one in events]


@pytest.mark.req("SCH-01")
def test_an_agent_mends_what_no_recipe_knows_and_it_is_proved(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    path = ground.repository("sums", FILES)
    agent(ground, "fixer", "develop, qa, rule:ruff:plw0127", RIGHT)
    answer = ground.improve(path, "--session", "one")
    assert answer.status == 0, answer.said
    done = item(ground)
    assert (done["state"], done["draft"]["recipe"]) == ("done", "")
    assert "a = a" not in ground.git(path, "show", "bullpen/one:sums.py")
    assert "fixer" in assigned(ground)
    checked = ground.run("verify", done["change"])
    assert checked.status == 0, checked.said


@pytest.mark.req("SCH-01")
def test_a_wrong_change_of_an_agent_is_refused_by_the_same_gates(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    path = ground.repository("sums", FILES)
    agent(ground, "fixer", "develop, qa", WRONG)
    answer = ground.improve(path, "--session", "one")
    assert answer.status == 0, answer.said
    left = item(ground)
    assert left["state"] == "blocked"
    assert "tests_broken" in left["reason"]
    assert "fixer" in assigned(ground)
    assert "a = a\n    return a + b" in ground.git(path, "show", "bullpen/one:sums.py")


@pytest.mark.req("SCH-01")
@pytest.mark.parametrize("capabilities", ["", "review, qa", "develop, security", "develop, rule:ruff:e711"])
def test_without_hands_for_it_an_item_waits_as_before(tmp_path: Path, capabilities: str) -> None:
    ground = Ground(tmp_path)
    path = ground.repository("sums", FILES)
    if capabilities:
        agent(ground, "other", capabilities, RIGHT)
    answer = ground.improve(path, "--session", "one")
    assert answer.status == 0, answer.said
    left = item(ground)
    assert (left["state"], left["reason"]) == (
        "proposed",
        "no recipe knows this rule; it needs a person or a language model",
    )
