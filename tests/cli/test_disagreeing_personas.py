"""A repository whose findings cannot all be followed, improved by the real command."""

import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
pytestmark = [pytest.mark.slow, pytest.mark.req("COL-03", "COL-04")]

SHELF = '''\
"""A shelf."""

import os


def forget(path):
    try:
        os.remove(path)
    except Exception:
        pass


def forget_all(counts, names):
    for name in names:
        try:
            del counts[name]
        except KeyError:
            pass
    return counts


def price(prices, name):
    try:
        return prices[name]
    except KeyError as error:
        raise ValueError(name)


def label(name):
    return name.upper()
    shown = "{}".format(name)
    return shown


def size(name):
    if name:
        return len(name)
    else:
        return 0
    return "{}".format(name)
'''
TESTS = """\
import pytest

from shelf import forget, forget_all, label, price, size


def test_shelf(tmp_path):
    forget(tmp_path / "none")
    assert forget_all({"a": 1}, ["a", "b"]) == {}
    assert price({"a": 2}, "a") == 2
    with pytest.raises(ValueError, match="b"):
        price({"a": 2}, "b")
    assert label("a") == "A"
    assert size("ab") == 2
    assert size("") == 0
"""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disagreeing")
    repository = folder / "shelf"
    repository.mkdir()
    (repository / "shelf.py").write_text(SHELF)
    (repository / "test_shelf.py").write_text(TESTS)
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
    return folder


@pytest.fixture(scope="module")
def run(bullpen_in: Run, ground: Path) -> Run:
    return lambda *arguments: bullpen_in(ground / "home", *arguments)


@pytest.fixture(scope="module")
def improved(run: Run, ground: Path) -> Any:
    return run("improve", ground / "shelf", "--json", "--session", "odds")


@pytest.fixture(scope="module")
def items(run: Run, improved: Any) -> Callable[[str], list[dict[str, Any]]]:
    assert improved.status == 0, improved.err
    every = run("items", "list", "--session", "odds", "--json").value
    return lambda rule: [one for one in every if one["draft"]["rule"] == rule]


def events(ground: Path, kind: str) -> list[dict[str, Any]]:
    with sqlite3.connect(ground / "home" / "bullpen.db") as database:
        rows = database.execute("select body from event where type = ? order by position", (kind,)).fetchall()
    return [json.loads(body) for (body,) in rows]


def settled(ground: Path, name: str) -> list[dict[str, Any]]:
    return [one for one in events(ground, "ConflictResolved") if one["subject"].startswith(f"{name} at ")]


def on_branch(ground: Path) -> str:
    shown = ["git", "show", "bullpen/odds:shelf.py"]
    return subprocess.run(shown, cwd=ground / "shelf", capture_output=True, text=True, check=True).stdout


def test_an_error_that_disappears_is_not_made_to_disappear_in_fewer_words(
    items: Callable[[str], list[dict[str, Any]]], ground: Path
) -> None:
    left = next(one for one in items("ruff:SIM105") if one["draft"]["lines"] == [7])
    assert left["state"] == "proposed"
    assert left["reason"].startswith("at odds with another finding: the error is named and handled")
    assert (
        "3 of 4 personas are for it (operations, qa, security; against it: maintainability)" in left["reason"]
    )
    (ruling,) = settled(ground, "swallowed-error")
    assert ruling["by"] == "vote"
    assert set(left["draft"]["fingerprints"]) == set(ruling["others"])
    vote = next(one for one in events(ground, "DecisionReached") if one["subject"] == ruling["subject"])
    assert (vote["protocol"], vote["choice"]) == ("weighted", "handle")
    assert "except Exception:\n        pass" in on_branch(ground)


def test_what_the_personas_are_for_lands(items: Callable[[str], list[dict[str, Any]]], ground: Path) -> None:
    landed = next(one for one in items("ruff:SIM105") if one["draft"]["lines"] == [15])
    assert landed["state"] == "done"
    (slow,) = items("ruff:PERF203")
    assert "at odds" in slow["reason"]
    (chained,) = items("ruff:B904")
    assert chained["state"] == "done"
    (dropped,) = items("ruff:F841")[:1]
    assert "at odds" in dropped["reason"]
    assert "from error" in on_branch(ground)


def test_where_too_few_have_a_position_the_code_decides(
    items: Callable[[str], list[dict[str, Any]]], ground: Path
) -> None:
    ruling = next(one for one in settled(ground, "unreachable-code") if one["by"] == "evidence")
    assert "always leaves the block" in ruling["reason"]
    lost = [one for one in items("ruff:UP032") if set(one["draft"]["fingerprints"]) & set(ruling["others"])]
    assert [one["state"] for one in lost] == ["proposed"]


def test_where_nothing_decides_a_person_is_asked_and_chooses_a_side(
    items: Callable[[str], list[dict[str, Any]]], ground: Path, run: Run
) -> None:
    ruling = next(one for one in settled(ground, "unreachable-code") if one["by"] == "person")
    waiting = [
        one for one in items("ruff:UP032") if set(one["draft"]["fingerprints"]) & set(ruling["others"])
    ]
    assert [one["state"] for one in waiting] == ["blocked"]
    asked = next(one for one in run("approvals", "--json").value if one["subject"] == ruling["subject"])
    assert asked["risk"] == "choice"
    assert asked["reason"].endswith("Yes: the unreachable code is deleted. No: it is improved or tested.")
    assert run("deny", asked["id"]).status == 0
    item = waiting[0]["draft"]["id"]
    assert run("items", "show", item, "--json").value["item"]["state"] == "ready"
    again = run("improve", ground / "shelf", "--resume", "--session", "odds", "--json")
    assert again.status == 0, again.err
    assert run("items", "show", item, "--json").value["item"]["state"] != "ready"


def test_the_report_and_the_item_say_it(
    items: Callable[[str], list[dict[str, Any]]], ground: Path, run: Run
) -> None:
    reports = ground / "home" / "sessions" / "odds" / "reports"
    for name in ("report.md", "report.html"):
        text = (reports / name).read_text()
        assert "Where personas disagreed" in text
        assert "the error is named and handled, rather than" in text
    told = json.loads((reports / "report.json").read_text())["disagreements"]
    assert {one["by"] for one in told} == {"vote", "evidence", "person"}
    left = next(one for one in items("ruff:SIM105") if one["draft"]["lines"] == [7])
    assert "at odds: the error is named and handled" in run("items", "show", left["draft"]["id"]).out


@pytest.mark.req("COL-08")
def test_items_declare_before_they_are_worked_on(
    items: Callable[[str], list[dict[str, Any]]], ground: Path, run: Run
) -> None:
    declared = events(ground, "IntentDeclared")
    assert len({one["task_id"] for one in declared}) == len(declared)
    overlaps = events(ground, "OverlapDetected")
    assert len({frozenset((one["first"], one["then"])) for one in overlaps}) == len(overlaps)
    (chained,) = items("ruff:B904")
    assert "means to touch: shelf.py::price" in run("items", "show", chained["draft"]["id"]).out
