"""Whole runs of ``bullpen improve`` in which agents of the project and of the person take part."""

import json
import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.bad_input.ground import SAMPLE, Answer, Ground

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LINKS = {
    **SAMPLE,
    "README.md": "# Sums\n\nSee [the guide](docs/Guide.md).\n",
    "docs/guide.md": "# Guide\n\nAdd two numbers.\n",
}
HEAD = """#!/bin/sh
# ---
# name: {name}
# version: 1.0.0
# purpose: An agent of the tests.
# capabilities: [{capabilities}]
# limits: {{restarts: 0}}
# ---
read -r task
"""
DONE = 'echo \'{"type":"result","outcome":"done","summary":"did it"}\'\n'
MENDS = "sed -i s#docs/Guide.md#docs/guide.md# README.md\n" + DONE
IDLE = "true\n" + DONE  # says that it is done, and did nothing
BROKEN = "exit 3\n"
ACCEPTS = 'echo \'{"type":"result","outcome":"done","summary":"fine","data":{"ruling":"accept"}}\'\n'


def program(folder: Path, name: str, capabilities: str, body: str) -> Path:
    """An agent that is a shell script."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(HEAD.format(name=name, capabilities=capabilities) + body)
    file.chmod(0o755)
    return file


def project(ground: Ground, name: str = "sums", *agents: tuple[str, str, str], files: Any = None) -> Path:
    """A repository that brings these agents."""
    path = ground.repository(name, files or LINKS, commit=False)
    for one in agents:
        program(path / ".bullpen" / "agents", *one)
    ground.commit(path)
    return path


def events(ground: Ground, session: str, *kinds: str) -> list[dict[str, Any]]:
    """Events of these kinds, in order."""
    told = ground.run("sessions", "replay", session, "--json").stdout.splitlines()
    return [one["event"] for one in map(json.loads, told) if one["type"] in kinds]


def reasons(ground: Ground, session: str) -> list[str]:
    return [one["reason"] for one in events(ground, session, "TaskAssigned")]


def improve(ground: Ground, path: Path, session: str, *more: str) -> Answer:
    answer = ground.improve(path, "--session", session, *more)
    assert answer.status == 0, answer.said
    return answer


def chosen(ground: Ground) -> list[str]:
    """Who was given something, in order; nobody while there is no such table yet."""
    try:
        with sqlite3.connect(ground.home / "bullpen.db") as database:
            rows = database.execute("select agent from task_attempt order by started_at").fetchall()
    except sqlite3.OperationalError:
        return []
    return [agent for (agent,) in rows]


@pytest.mark.req("SCH-01", "AGT-04", "AGT-05")
def test_a_script_of_the_project_mends_what_it_is_there_for(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    path = project(ground, "sums", ("docs-fixer", "develop, documentation", MENDS))
    answer = improve(ground, path, "one")
    assert "docs/guide.md" in ground.git(path, "show", "bullpen/one:README.md")
    assert answer.result["done"]["count"] == 2
    said = reasons(ground, "one")
    assert "docs-fixer: capability 0.8, load 0/1, not tried yet, $0.00" in said
    assert "developer: capability 0.7, load 0/64, not tried yet, $0.00" in said
    measured = [one for one in events(ground, "one", "OutcomeMeasured") if one["agent"] == "docs-fixer"]
    assert [(one["skill"], one["won"]) for one in measured] == [("develop/documentation", True)]


@pytest.mark.req("SCH-02", "AGT-06")
def test_what_a_broken_agent_leaves_goes_to_the_developer(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    path = project(ground, "sums", ("docs-fixer", "develop, documentation", BROKEN))
    (path / ".bullpen" / "agents" / "odd.yaml").write_text("name: Odd One\n")
    ground.commit(path)
    answer = improve(ground, path, "one")
    assert answer.result["done"]["count"] == 2
    ended = events(ground, "one", "AttemptEnded")
    broke = next(one for one in ended if one["agent"] == "docs-fixer")
    assert broke["state"] == "failed"
    assert broke["summary"] == "It ended with status 3 without an answer."
    after = [one["agent"] for one in ended if one["task_id"] == broke["task_id"]]
    assert after == ["docs-fixer", "developer"]
    lost = [one for one in events(ground, "one", "OutcomeMeasured") if not one["won"]]
    assert [one["agent"] for one in lost] == ["docs-fixer"]
    aside = events(ground, "one", "AgentQuarantined")
    assert [(one["agent"], one["source"]) for one in aside] == [("odd", ".bullpen/agents/odd.yaml")]
    assert "name" in aside[0]["reason"]


@pytest.mark.req("AGT-06")
def test_an_agent_that_fails_its_health_check_is_drained(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    path = project(ground)
    ill = program(ground.home / "agents", "docs-fixer", "develop, documentation", MENDS)
    asked = "# health: [./docs-fixer, --well]\n# limits"
    ill.write_text(ill.read_text().replace("# limits", asked).replace("read -r task", "[ $1 ] && exit 1"))
    answer = improve(ground, path, "one")
    assert answer.result["done"]["count"] == 2
    aside = events(ground, "one", "AgentQuarantined")
    assert [one["agent"] for one in aside] == ["docs-fixer"]
    assert "The health command ended: status 1." in aside[0]["reason"]
    assert "developer" in [one["agent"] for one in events(ground, "one", "TaskAssigned")]


@pytest.mark.req("SCH-01")
def test_nobody_reviews_what_they_wrote_and_no_repository_brings_its_judge(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    theirs = ("their-judge", "review, judge, documentation", ACCEPTS)
    path = project(ground, "sums", theirs)
    program(ground.home / "agents", "allround", "develop, review, judge, documentation", MENDS)
    program(ground.home / "agents", "second", "review, judge, documentation", ACCEPTS)
    improve(ground, path, "one")
    assert set(chosen(ground)) == {"allround", "second", "developer", "reviewer", "judge"}
    task = next(one["task_id"] for one in events(ground, "one", "TaskAssigned") if one["agent"] == "allround")
    item = next(one["item_id"] for one in events(ground, "one", "TaskAdded") if one["task_id"] == task)
    mine = [one["task_id"] for one in events(ground, "one", "TaskAdded") if one["item_id"] == item]
    who = [one["agent"] for one in events(ground, "one", "TaskAssigned") if one["task_id"] in mine]
    assert who == [
        "allround",
        "second",
        "judge",
    ]  # each offers what the next is asked for, and has taken part
    proved = {one["item_id"]: one["judge"] for one in events(ground, "one", "ChangeProved")}
    assert proved[item] == "judge"


@pytest.mark.req("SCH-01", "AGT-04")
def test_a_skill_that_is_only_claimed_is_found_out(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    program(ground.home / "agents", "liar", "develop, documentation", IDLE)
    for name in ("one", "two"):
        answer = improve(ground, project(ground, name), name)
        assert answer.result["done"]["count"] == 2
    wrote = [
        [
            one["reason"]
            for one in events(ground, name, "TaskAssigned")
            if one["agent"] in ("liar", "developer")
        ]
        for name in ("one", "two")
    ]
    fresh = "developer: capability 0.7, load 0/64, not tried yet, $0.00"
    assert sorted(wrote[0]) == [fresh, fresh, "liar: capability 0.8, load 0/1, not tried yet, $0.00"]
    assert wrote[1] == ["developer: capability 0.9, load 0/64, 1 of 1 past successes, $0.00"] * 2


@pytest.mark.req("SCH-01", "IMP-05")
def test_a_session_that_was_killed_goes_on_with_whom_it_hadchosen(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    slow = "touch README.md\nsleep 4\n" + MENDS
    path = project(ground, "sums", ("docs-fixer", "develop, documentation", slow))
    process = ground.start("improve", path, "--session", "one", "--quiet")
    while process.poll() is None and "docs-fixer" not in chosen(ground):
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    program(ground.home / "agents", "a-better-one", "develop, documentation", MENDS)  # would be chosen now
    improve(ground, path, "one", "--resume")
    assert [who for who in chosen(ground) if who in ("docs-fixer", "a-better-one")] == ["docs-fixer"]
    assigned = [one["agent"] for one in events(ground, "one", "TaskAssigned")]
    assert assigned.count("docs-fixer") == 1
    assert "docs/guide.md" in ground.git(path, "show", "bullpen/one:README.md")


@pytest.mark.req("CLI-01")
def test_who_did_it_and_why_is_shown(tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    path = project(ground, "sums", ("docs-fixer", "develop, documentation", MENDS))
    improve(ground, path, "one")
    sentence = "docs-fixer: capability 0.8, load 0/1, not tried yet, $0.00"
    env = {"COLUMNS": "300"}
    assert sentence in ground.run("tasks", "tree", "--session", "one", env=env).stdout
    items = json.loads(ground.run("items", "list", "--session", "one", "--json").stdout)
    item = next(one["draft"]["id"] for one in items if one["draft"]["path"] == "README.md")
    shown = ground.run("items", "show", item).stdout
    assert f"  develop by {sentence}" in shown
    assert "  judge by judge: capability 0.7, load 0/64, not tried yet, $0.00" in shown
    assert "docs-fixer" in ground.reports()
