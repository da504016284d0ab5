"""The real command on real repositories: what it prints where, and what the other commands then know."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
pytestmark = pytest.mark.slow


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.req("CLI-01", "IMP-01")
def test_json_is_one_object_and_tells_what_is_on_the_branch(improved: Any, faulty: Path) -> None:
    assert improved.status == 0
    assert not improved.err
    outcome = improved.value
    assert outcome["stage"] == "done"
    assert outcome["done"]["count"] >= 1
    assert git(faulty, "rev-parse", outcome["branch"]) == outcome["commit"]
    commits = git(faulty, "rev-list", f"{outcome['base']}..{outcome['branch']}").splitlines()
    assert len(commits) == outcome["done"]["count"]
    assert sum(outcome["findings_after"].values()) < sum(outcome["findings_before"].values())
    assert outcome["tests_before"]["passed"] == outcome["tests_after"]["passed"] == 2
    assert outcome["first_change_seconds"] <= outcome["seconds"]
    assert git(faulty, "status", "--porcelain") == ""
    assert git(faulty, "symbolic-ref", "--short", "HEAD") == "main"


@pytest.mark.req("IMP-09")
def test_the_evidence_of_a_change_holds_when_it_is_run_again(bullpen: Run, improved: Any) -> None:
    checked = bullpen("verify", improved.value["commit"][:12], "--json")
    claims = checked.value["verification"]["claims"]
    assert checked.status == 0, claims
    assert {"patch", "findings gone", "tests after", "gates", "commit", "branch tests"} <= {
        claim["name"] for claim in claims
    }
    assert all(claim["holds"] for claim in claims)


@pytest.mark.req("IMP-09")
def test_evidence_that_was_tampered_with_does_not_hold(
    bullpen_in: Run, bullpen: Run, home: Path, improved: Any
) -> None:
    import sqlite3

    database = sqlite3.connect(home / "bullpen.db")
    commit = improved.value["commit"]
    (body,) = database.execute('select body from evidence where "commit" = ?', (commit,)).fetchone()
    evidence = json.loads(body)
    forged = {
        **evidence,
        "patch_sha256": "0" * 64,
        "tests_after": [*evidence["tests_after"], "tests/test_x.py::test_x"],
    }
    with database:
        database.execute('update evidence set body = ? where "commit" = ?', (json.dumps(forged), commit))
    try:
        checked = bullpen("verify", commit)
    finally:
        with database:
            database.execute('update evidence set body = ? where "commit" = ?', (body, commit))
        database.close()
    assert checked.status == 1
    assert "do not hold" in checked.out
    assert "test_x" in checked.out


@pytest.mark.req("CLI-01")
def test_the_session_can_be_looked_at_and_told_again(bullpen: Run, improved: Any) -> None:
    session = improved.value["session"]
    listed = bullpen("sessions", "list", "--json").value
    assert session in [one["id"] for one in listed if one["stage"] == "done"]
    shown = bullpen("sessions", "show", session)
    assert "git -C" in shown.out
    assert f"merge {improved.value['branch']}" in shown.out
    told = bullpen("sessions", "replay", session).out.splitlines()
    assert told[0].startswith("opened main@")
    assert sum(line.startswith("landed: ") for line in told) == improved.value["done"]["count"]
    events = [json.loads(line) for line in bullpen("sessions", "replay", session, "--json").out.splitlines()]
    assert events[0]["type"] == "SessionCreated"
    assert [one["position"] for one in events] == sorted(one["position"] for one in events)


@pytest.mark.req("CLI-01")
def test_items_and_tasks_are_listed_commented_and_moved(bullpen: Run, improved: Any) -> None:
    session = improved.value["session"]
    items = bullpen("items", "list", "--session", session, "--json").value
    done = next(item for item in items if item["state"] == "done")
    item = done["draft"]["id"]
    assert bullpen("items", "comment", item, "well done").status == 0
    assert "well done" in bullpen("items", "show", item).out
    conflict = bullpen("items", "reject", item, "--reason", "no")
    assert conflict.status == 4
    assert "is done" in conflict.err
    tree = bullpen("tasks", "tree", "--session", session)
    assert "change the code" in tree.out
    finished = next(
        one["task"]["id"]
        for one in bullpen("tasks", "tree", "--session", session, "--json").value
        if one["task"]["state"] == "done"
    )
    assert bullpen("tasks", "cancel", finished).status == 4


@pytest.mark.req("SES-01")
def test_a_session_leaves_comes_in_elsewhere_and_is_forked(
    bullpen: Run, bullpen_in: Run, improved: Any, tmp_path: Path
) -> None:
    session = improved.value["session"]
    file = tmp_path / "one.bullpen"
    assert bullpen("sessions", "export", session, file).status == 0
    elsewhere = tmp_path / "elsewhere"
    assert bullpen_in(elsewhere, "sessions", "import", file).status == 0
    here = bullpen("sessions", "replay", session).out
    assert bullpen_in(elsewhere, "sessions", "replay", session).out == here
    again = bullpen_in(elsewhere, "sessions", "import", file)
    assert again.status == 4
    assert bullpen_in(elsewhere, "sessions", "import", file, "--as", "second").status == 0
    assert len(bullpen_in(elsewhere, "items", "list", "--session", "second", "--json").value) == len(
        bullpen("items", "list", "--session", session, "--json").value
    )
    events = [json.loads(line) for line in bullpen("sessions", "replay", session, "--json").out.splitlines()]
    landed = next(one for one in events if one["type"] == "ChangeLanded")
    fork = bullpen("sessions", "fork", session, "--at", landed["position"], "--json").value
    assert fork["parent"] == session
    copied = [
        json.loads(line) for line in bullpen("sessions", "replay", fork["id"], "--json").out.splitlines()
    ]
    until = [one["type"] for one in events[: events.index(landed) + 1]]
    facts = ["FactNoted", "FactNoted"]  # where it was forked, and the commit the branch was at
    assert [one["type"] for one in copied] == [*until, "SessionCreated", *facts]
    assert bullpen("sessions", "fork", session, "--at", "99999999").status == 2


@pytest.mark.req("SES-01")
def test_sessions_are_paused_tagged_and_archived(bullpen: Run, improved: Any) -> None:
    session = improved.value["session"]
    assert bullpen("sessions", "pause", session).status == 0
    assert "paused" in bullpen("sessions", "show", session).out.splitlines()[0]
    assert bullpen("sessions", "resume", session).status == 0
    assert bullpen("sessions", "tag", session, "nightly", "b").status == 0
    (one,) = [each for each in bullpen("sessions", "list", "--json").value if each["id"] == session]
    assert one["tags"] == ["b", "nightly"]
    assert one["paused"] is False


@pytest.mark.req("IMP-08")
def test_a_clean_repository_is_said_to_be_clean(bullpen: Run, clean: Path) -> None:
    result = bullpen("improve", clean)
    assert result.status == 0
    assert "is clean" in result.out
    assert git(clean, "branch", "--list", "bullpen/*") == ""


@pytest.mark.req("CLI-01")
def test_a_dry_run_shows_the_plan_and_changes_nothing(bullpen_in: Run, faulty: Path, tmp_path: Path) -> None:
    before = git(faulty, "for-each-ref")
    result = bullpen_in(tmp_path, "improve", faulty, "--dry-run")
    assert result.status == 0
    assert "Nothing was changed (dry run)" in result.out
    assert "ruff-safe-fixes" in result.out
    assert "priority" in result.out
    assert "found before: " in result.err
    assert git(faulty, "for-each-ref") == before


@pytest.mark.req("ANA-01")
def test_a_roast_speaks_writes_sarif_and_knows_its_baseline(
    bullpen: Run, faulty: Path, tmp_path: Path
) -> None:
    sarif = tmp_path / "found.sarif"
    first = bullpen("roast", faulty, "--sarif", sarif)
    assert first.status == 0
    assert "Maintainer" in first.out
    assert "ruff:F401" in first.out
    assert json.loads(sarif.read_text())["version"] == "2.1.0"
    second = bullpen("roast", faulty, "--baseline", sarif, "--json").value
    assert second["findings"] == []
    assert second["known"] > 0
    only = bullpen("roast", faulty, "--only", "ruff:E711", "--json").value
    assert {one["finding"]["rule"] for one in only["findings"]} == {"ruff:E711"}
