"""What the playbook answers, role by role, to the results it is given."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import NotFound
from bullpen.models.base import AssistantTurn, Brief, PersonTurn, Text, ToolCall, ToolResult, ToolSpec
from bullpen.models.facts import Facts, approach_key
from bullpen.models.providers.playbook import PROVIDER, approaches

Answers = Callable[[str, dict[str, Any]], tuple[bool, dict[str, Any]]]
Called = list[tuple[str, dict[str, Any]]]


async def play(role: str, facts: Facts, answers: Answers, tools: tuple[str, ...] = ()) -> Called:
    """Every call of a play, until it says nothing more."""
    specs = [ToolSpec(name, "", {}) for name in tools]
    dialogue = PROVIDER.open("rules", Brief(role, "", "", facts.to_mapping(), specs))
    called: Called = []
    while len(called) < 60:
        reply = [delta async for delta in dialogue.reply()]
        calls = tuple(delta for delta in reply if isinstance(delta, ToolCall))
        dialogue.add(AssistantTurn("".join(d.text for d in reply if isinstance(d, Text)), calls))
        if not calls:
            return called
        (call,) = calls
        arguments = json.loads(call.arguments)
        called.append((call.tool, arguments))
        ok, values = answers(call.tool, arguments)
        dialogue.add(ToolResult(call.id, call.tool, json.dumps(values), ok))
    raise AssertionError("the play does not end")


def answering(**results: tuple[bool, dict[str, Any]]) -> Answers:
    return lambda tool, arguments: results.get(tool, (True, {}))


def names(called: Called) -> list[str]:
    return [tool for tool, _ in called]


FIX = Facts("a.py", (3, 9), ("demo:X",), recipes=("one", "two"), tests=("t::a",))
GREEN = (True, {"ok": True, "summary": "5 tests pass, 0 fail."})
RED = (True, {"ok": False, "summary": "4 tests pass, 1 fail."})


async def test_developer_applies_tests_and_finishes() -> None:
    called = await play("developer", FIX, answering(run_tests=GREEN))
    assert called == [
        ("apply_recipe", {"recipe": "one", "path": "a.py", "lines": [3, 9], "rules": ["demo:X"]}),
        ("run_tests", {"select": ["t::a"]}),
        (
            "finish",
            {
                "outcome": "done",
                "summary": "Applied one@a.py:3,9; 5 tests pass, 0 fail.",
                "data": {"approach": "one@a.py:3,9"},
            },
        ),
    ]


@pytest.mark.req("AGT-08")
async def test_developer_takes_another_way_when_one_is_refused_or_fails() -> None:
    def answers(tool: str, arguments: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
        if tool == "apply_recipe":
            return (arguments["recipe"] == "two", {"error": "fits nothing"})
        return GREEN if tool != "run_tests" or last["lines"] == [3] else RED

    last: dict[str, Any] = {}

    def watching(tool: str, arguments: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
        last.update(arguments)
        return answers(tool, arguments)

    called = await play("developer", FIX, watching)
    tried = [(a["recipe"], a["lines"]) for tool, a in called if tool == "apply_recipe"]
    assert tried == [("one", [3, 9]), ("two", [3, 9]), ("one", [3]), ("two", [3])]
    assert names(called)[2:5] == ["run_tests", "restore_files", "apply_recipe"]
    assert called[-1][1]["data"] == {"approach": "two@a.py:3"}


@pytest.mark.req("AGT-08")
async def test_developer_says_when_no_way_is_left() -> None:
    called = await play("developer", FIX, answering(apply_recipe=(False, {"error": "no"})))
    assert names(called) == ["apply_recipe"] * 6 + ["finish"]
    assert called[-1][1]["outcome"] == "no-approach"
    nothing = await play("developer", Facts("a.py", rules=("demo:Y",)), answering())
    assert nothing == [
        (
            "finish",
            {"outcome": "no-approach", "summary": "No approach left: no recipe mends demo:Y.", "data": {}},
        )
    ]


@pytest.mark.req("AGT-08")
@given(
    st.lists(st.integers(1, 50), max_size=6, unique=True),
    st.lists(st.sampled_from(["one", "two", "three"]), max_size=3, unique=True),
    st.data(),
)
def test_no_approach_is_taken_twice(lines: list[int], recipes: list[str], data: st.DataObject) -> None:
    facts = Facts("a.py", tuple(lines), recipes=tuple(recipes))
    every = [approach_key(recipe, "a.py", sites) for recipe, sites in approaches(facts)]
    assert len(every) == len(set(every))
    tried = data.draw(st.lists(st.sampled_from(every), unique=True)) if every else []
    later = Facts("a.py", tuple(lines), recipes=tuple(recipes), tried=tuple(tried))
    left = [approach_key(recipe, "a.py", sites) for recipe, sites in approaches(later)]
    assert left == [key for key in every if key not in tried]


@pytest.mark.parametrize(
    ("found", "tests", "outcome"),
    [
        ((True, {"ok": True}), GREEN, "done"),
        ((True, {"ok": False}), GREEN, "failed"),
        ((True, {"ok": True}), RED, "failed"),
        ((False, {"error": "no analysis"}), GREEN, "failed"),
    ],
)
async def test_qa_engineer_needs_both(found: Any, tests: Any, outcome: str) -> None:
    called = await play("qa-engineer", FIX, answering(check_findings=found, run_tests=tests))
    assert names(called) == ["check_findings", "run_tests", "finish"]
    assert called[-1][1]["outcome"] == outcome


REMARK = {"path": "a.py", "line": 4, "text": "No.", "blocking": True}


@pytest.mark.parametrize(
    ("remarks", "ruling"), [([], "accept"), ([{**REMARK, "blocking": False}], "accept"), ([REMARK], "revise")]
)
async def test_reviewer_comments_and_rules(remarks: list[dict[str, Any]], ruling: str) -> None:
    called = await play(
        "reviewer", Facts(), answering(review_diff=(True, {"summary": "s", "remarks": remarks}))
    )
    assert names(called) == ["review_diff", *["comment_line"] * len(remarks), "give_verdict", "finish"]
    verdict = dict(called)["give_verdict"]
    assert verdict["ruling"] == ruling
    assert bool(verdict["must_change"]) is (ruling == "revise")


@pytest.mark.parametrize(
    ("answer", "ruling"),
    [
        ((True, {"gates": [{"name": "tests", "passed": True, "evidence": "5"}]}), "accept"),
        ((True, {"gates": [{"name": "tests", "passed": False, "evidence": "4"}]}), "revise"),
        ((True, {"gates": []}), "revise"),
        ((False, {"error": "no gates"}), "revise"),
    ],
)
async def test_judge_rules_by_the_gates_alone(answer: Any, ruling: str) -> None:
    called = await play("judge", Facts(), answering(evaluate_gates=answer))
    assert names(called) == ["evaluate_gates", "give_verdict", "finish"]
    assert called[1][1]["ruling"] == ruling


async def test_lead_asks_for_every_task() -> None:
    facts = Facts(
        subtasks=(("Mend it", "developer", "it is broken"), ("Prove it", "qa-engineer", "to be sure"))
    )
    called = await play("lead", facts, answering())
    assert names(called) == ["request_subtask", "request_subtask", "finish"]
    assert called[-1][1]["outcome"] == "done"
    assert (await play("lead", Facts(), answering()))[-1][1]["outcome"] == "failed"


async def test_other_roles_do_what_their_tools_allow() -> None:
    roast = (True, {"summary": "2 findings", "count": 2})
    called = await play("security", Facts(concern="security"), answering(roast_files=roast), ("roast_files",))
    assert names(called) == ["roast_files", "note", "finish"]
    assert called[-1][1]["data"] == {"findings": "2"}
    fixing = await play("dependency-keeper", FIX, answering(run_tests=GREEN), ("apply_recipe",))
    assert names(fixing) == ["apply_recipe", "run_tests", "finish"]


async def test_asking_twice_gives_the_same_call() -> None:
    dialogue = PROVIDER.open("rules", Brief("developer", "", "", FIX.to_mapping()))
    first = [delta async for delta in dialogue.reply()]
    dialogue.add(PersonTurn("Go on."))
    assert [delta async for delta in dialogue.reply()] == first


def test_there_is_one_model() -> None:
    with pytest.raises(NotFound, match="it has: rules"):
        PROVIDER.open("gpt", Brief("developer", "", ""))


def test_facts_travel_as_a_mapping() -> None:
    assert Facts.from_mapping({**json.loads(json.dumps(FIX.to_mapping())), "other": 1}) == FIX
    assert Facts().to_mapping() == {}
