"""Git through the toolbox, and reviews of what it shows."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bullpen.domain.events.agent import LineCommented, ReviewGiven
from bullpen.domain.verdict import GateResult
from bullpen.models.base import ToolCall
from bullpen.tools.base import Risk, Skills, ToolContext
from bullpen.tools.families.review import changed
from bullpen.tools.policy import Rule, decide
from bullpen.tools.toolbox import Toolbox, every_tool
from bullpen.tools.workspace import Scope


async def use(context: ToolContext, tool: str, **arguments: object) -> dict[str, Any]:
    box = Toolbox(every_tool(), decide(organization={Risk.NETWORK: Rule.ALLOW}))
    return json.loads((await box.run(ToolCall("c1", tool, json.dumps(arguments)), context)).content)


@pytest.mark.req("TOL-04")
async def test_a_change_goes_from_the_worktree_to_the_origin(git_context: ToolContext, git: Any) -> None:
    source = git_context.workspace / "src/app.py"
    source.write_text(source.read_text().replace("== None", "is None"))
    (git_context.workspace / "new é.txt").write_text("new\n")
    status = await use(git_context, "git_status")
    assert (status["branch"], len(status["changed"])) == ("work", 2)
    assert "+    return x is None" in (await use(git_context, "git_diff", paths=["src/app.py"]))["diff"]
    done = await use(git_context, "commit", message="Compare with None by identity", paths=["src/app.py"])
    log = await use(git_context, "git_log", limit=1)
    assert (log["commits"][0]["id"], log["commits"][0]["subject"]) == (
        done["commit"],
        "Compare with None by identity",
    )
    blame = await use(git_context, "git_blame", path="src/app.py", first=4, last=5)
    assert [line["line"] for line in blame["lines"]] == [4, 5]
    assert (await use(git_context, "tag", name="v1.0", message="The first"))["branch"] == "v1.0"
    assert (await use(git_context, "push", branch="work"))["branch"] == "work"
    assert (await git.run("ls-remote", "--heads", "origin")).strip().endswith("refs/heads/work")


@pytest.mark.req("TOL-04")
async def test_branches_are_made_merged_and_rebased(git_context: ToolContext) -> None:
    assert (await use(git_context, "create_branch", name="side"))["branch"] == "side"
    (git_context.workspace / "side.txt").write_text("side\n")
    side = await use(git_context, "commit", message="Add side")
    await use(git_context, "create_branch", name="other")
    assert (await use(git_context, "merge", branch="side"))["commit"] == side["commit"]
    assert (await use(git_context, "rebase", onto="main"))["commit"] == side["commit"]


@pytest.mark.req("TOL-04")
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("commit", {"message": "Sneak it in"}),
        ("merge", {"branch": "work"}),
        ("rebase", {"onto": "work"}),
        ("push", {"branch": "main"}),
        ("push", {"branch": "release/1.0"}),
        ("create_branch", {"name": "release/2.0"}),
    ],
)
async def test_a_protected_branch_is_left_alone_unless_allowed(
    git_context: ToolContext, git: Any, tool: str, arguments: dict[str, str]
) -> None:
    await git.run("switch", "-q", "main")
    (git_context.workspace / "more.txt").write_text("more\n")
    assert "is protected" in (await use(git_context, tool, **arguments))["error"]
    if arguments.get("branch") != "release/1.0":
        assert "error" not in await use(replace(git_context, allow_protected=True), tool, **arguments)


@pytest.mark.parametrize(
    "name", ["--force", "-x", "a..b", "a b", "x.lock", "a//b", "refs@{1}", "", "a/", "a\n", "+main:x", "a:b"]
)
async def test_a_name_that_could_be_an_option_is_refused(git_context: ToolContext, name: str) -> None:
    for tool, key in (("create_branch", "name"), ("push", "branch"), ("merge", "branch"), ("rebase", "onto")):
        assert "not a usable name" in (await use(git_context, tool, **{key: name}))["error"]


async def test_without_git_the_tools_say_so(context: ToolContext) -> None:
    assert (await use(context, "git_status"))["error"] == "This run has no git. Go on without this tool."


async def test_a_review_points_at_what_a_rule_can_see(git_context: ToolContext, git: Any) -> None:
    (git_context.workspace / "test_app.py").write_text("def test_run():\n    assert run(None)\n")
    await git.run("add", ".")
    await git.run("commit", "-qm", "Test it")
    (git_context.workspace / "test_app.py").write_text("def test_other():\n    pass\n")
    (git_context.workspace / "src/app.py").write_text(
        "import os\n\n\ndef run(x):\n    breakpoint()\n    try:\n        return x == None\n    except Exception:\n"
        "        return 1  # noqa: E711\n    # TODO mend\n    key = 'AKIAIOSFODNN7EXAMPLE'\n"
    )
    narrow = replace(git_context, scope=Scope({"src/app.py": ()}))
    review = await use(narrow, "review_diff")
    seen = {
        (one["path"], one["line"], one["text"].split(".")[0], one["blocking"]) for one in review["remarks"]
    }
    assert seen == {
        ("test_app.py", 1, "This file is not among the agreed ones", True),
        ("test_app.py", 1, "A test goes", True),
        ("test_app.py", 2, "An assertion goes; is it replaced by one as strong?", False),
        ("src/app.py", 5, "A debugger stop is left here", True),
        ("src/app.py", 8, "This catches everything", False),
        ("src/app.py", 9, "A check is silenced", True),
        ("src/app.py", 10, "New work is left for later", False),
        ("src/app.py", 11, "This looks like a secret", True),
    }
    assert "AKIA" not in json.dumps(review)


async def test_an_empty_change_is_not_acceptable(git_context: ToolContext) -> None:
    review = await use(git_context, "review_diff")
    assert [one["text"] for one in review["remarks"] if one["blocking"]] == ["The change is empty."]


def test_lines_that_look_like_headers_are_still_lines() -> None:
    diff = "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- gone\n+++ came\n same\ndiff --git a/y b/y\n--- a/y\n+++ /dev/null\n@@ -1 +0,0 @@\n-y\n"
    assert [(one.path, one.line, one.sign, one.text) for one in changed(diff)] == [
        ("x", 1, "-", "-- gone"),
        ("x", 1, "+", "++ came"),
        ("y", 1, "-", "y"),
    ]


async def test_comments_and_verdicts_are_events(context: ToolContext) -> None:
    await use(context, "comment_line", path="src/app.py", line=5, text="Why ==?", blocking=True)
    await use(context, "give_verdict", ruling="revise", must_change=["line 5"])
    said = [event for event in context.journal.events if isinstance(event, LineCommented | ReviewGiven)]
    assert said == [
        LineCommented("task-1", 3, "c1", "src/app.py", 5, "Why ==?", True),
        ReviewGiven("task-1", 3, "c1", "developer", "revise", ("line 5",)),
    ]


@pytest.mark.parametrize(("ruling", "must_change"), [("accept", ["x"]), ("revise", []), ("reject", None)])
async def test_a_verdict_without_its_reason_is_refused(
    context: ToolContext, ruling: str, must_change: list[str] | None
) -> None:
    assert (
        "says what must change"
        in (await use(context, "give_verdict", ruling=ruling, must_change=must_change))["error"]
    )


class FixedGates:
    """Gates that came out so."""

    def __init__(self, *gates: GateResult) -> None:
        self._gates = gates

    async def evaluate(self) -> tuple[GateResult, ...]:
        return self._gates


@pytest.mark.parametrize(("passed", "expected"), [((True, True), True), ((True, False), False), ((), False)])
async def test_gates_pass_together_or_not_at_all(
    context: ToolContext, passed: tuple[bool, ...], expected: bool
) -> None:
    gates = FixedGates(*(GateResult(f"gate-{number}", one, "seen") for number, one in enumerate(passed)))
    answer = await use(replace(context, skills=Skills(gates=gates)), "evaluate_gates")
    assert answer["passed"] is expected
    assert len(answer["gates"]) == len(passed)
