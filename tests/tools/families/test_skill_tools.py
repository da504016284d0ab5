"""Recipes, tests, findings, and the tools that steer a run."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bullpen.domain.change import Applicability, Site
from bullpen.domain.errors import NotFound
from bullpen.domain.events.agent import NoteTaken, SubtaskRequested
from bullpen.domain.finding import Concern, Finding, Place, Severity
from bullpen.domain.test_report import SuiteEnd, TestOutcome, TestReport, TestResult
from bullpen.models.base import ToolCall
from bullpen.recipes.base import Codemod
from bullpen.testing.base import TestRequest
from bullpen.tools.base import Skills, ToolContext
from bullpen.tools.families.tests import compare
from bullpen.tools.toolbox import Toolbox, every_tool
from bullpen.tools.workspace import Scope


async def use(context: ToolContext, tool: str, **arguments: object) -> dict[str, Any]:
    return json.loads(
        (await Toolbox(every_tool()).run(ToolCall("c1", tool, json.dumps(arguments)), context)).content
    )


class Book:
    """Recipes that mark the lines of their sites with what they were given."""

    def __init__(self) -> None:
        kinds = {one.value: one for one in Applicability}
        self._recipes = {name: self._marking(name, kind) for name, kind in kinds.items()}

    @staticmethod
    def _marking(name: str, kind: Applicability) -> Codemod:
        def rewrite(text: str, sites: Sequence[Site]) -> str:
            lines = text.splitlines(keepends=True)
            for site in sites:
                lines[site.line - 1] = f"{lines[site.line - 1].rstrip()}  # {site.rule}:{site.symbol}\n"
            return "".join(lines)

        return Codemod(name, (f"demo:{name}", "demo:any"), kind, f"Marks ({name}).", "why", "source", rewrite)

    def names(self) -> tuple[str, ...]:
        return tuple(self._recipes)

    def load(self, name: str) -> Codemod:
        if name not in self._recipes:
            raise NotFound(f"There is no recipe {name}.")
        return self._recipes[name]


SITES = {
    "src/app.py": (
        Site(4, rule="demo:any", symbol="run"),
        Site(5, rule="demo:safe", symbol="eq"),
        Site(5, rule="other:rule", symbol="no"),
    )
}


@pytest.fixture
def with_book(context: ToolContext) -> ToolContext:
    return replace(context, skills=Skills(recipes=Book()), sites=SITES)


def lines(context: ToolContext) -> list[str]:
    return (context.workspace / "src/app.py").read_text().splitlines()


async def test_recipes_are_listed_by_rule(with_book: ToolContext) -> None:
    listed = await use(with_book, "list_recipes", rule="demo:s*")
    assert [(one["name"], one["applicability"]) for one in listed["recipes"]] == [("safe", "safe")]
    assert len((await use(with_book, "list_recipes"))["recipes"]) == 3


async def test_a_recipe_gets_the_sites_that_are_known(with_book: ToolContext) -> None:
    done = await use(with_book, "apply_recipe", recipe="safe", path="./src//app.py")
    assert done["approach"] == "safe@src/app.py:all"
    assert lines(with_book)[3:] == ["def run(x):  # demo:any:run", "    return x == None  # demo:safe:eq"]


async def test_lines_and_rules_choose_among_the_sites(with_book: ToolContext) -> None:
    done = await use(
        with_book, "apply_recipe", recipe="safe", path="src/app.py", lines=[5, 1], rules=["demo:safe"]
    )
    assert done["approach"] == "safe@src/app.py:1,5"
    assert lines(with_book)[0] == "import os  # demo:safe:"
    assert lines(with_book)[4] == "    return x == None  # demo:safe:eq"
    assert "+import os  # demo:safe:" in done["diff"]


@pytest.mark.req("IMP-11")
async def test_what_a_recipe_may_not_do_is_refused(with_book: ToolContext) -> None:
    before = lines(with_book)
    tried = replace(with_book, tried=frozenset({"safe@src/app.py:5"}))
    narrow = replace(with_book, scope=Scope({"src/app.py": (range(5, 6),)}))
    for context, recipe, said in (
        (with_book, "unsafe", "was not approved"),
        (with_book, "display", "never applied"),
        (with_book, "absent", "no recipe absent"),
        (tried, "safe", "was tried before and failed"),
    ):
        assert (
            said in (await use(context, "apply_recipe", recipe=recipe, path="src/app.py", lines=[5]))["error"]
        )
    assert (
        "outside the agreed" in (await use(narrow, "apply_recipe", recipe="safe", path="src/app.py"))["error"]
    )
    assert (
        "nothing to mend"
        in (await use(replace(with_book, sites={}), "apply_recipe", recipe="safe", path="src/app.py"))[
            "error"
        ]
    )
    assert lines(with_book) == before
    approved = replace(with_book, allow_unsafe=True)
    assert "error" not in await use(approved, "apply_recipe", recipe="unsafe", path="src/app.py", lines=[5])


def report(end: SuiteEnd = SuiteEnd.FINISHED, **outcomes: str) -> TestReport:
    results = tuple(TestResult(name, TestOutcome(word), message="why") for name, word in outcomes.items())
    return TestReport("demo", (), end, results)


@pytest.mark.parametrize(
    ("before", "now", "whole", "ok", "summary"),
    [
        (report(a="passed"), report(a="passed"), True, True, "1 tests pass, 0 fail."),
        (report(a="failed", b="passed"), report(a="failed", b="passed"), True, True, "1 tests pass, 1 fail."),
        (report(a="passed"), report(a="failed"), True, False, "0 tests pass, 1 fail, 1 of them new."),
        (report(a="passed", b="passed"), report(a="passed"), True, False, "1 tests pass, 0 fail, 1 gone."),
        (report(a="passed", b="passed"), report(a="passed"), False, True, "1 tests pass, 0 fail."),
        (report(a="passed"), report(a="skipped"), False, False, "0 tests pass, 0 fail."),
        (None, report(a="failed"), True, False, "0 tests pass, 1 fail, 1 of them new."),
        (None, report(SuiteEnd.NO_TESTS), True, True, "There are no tests."),
        (report(a="passed"), report(SuiteEnd.NO_TESTS), True, False, "1 tests are gone."),
        (
            report(a="passed"),
            report(SuiteEnd.TIMEOUT, a="passed"),
            True,
            False,
            "The tests did not finish: timeout.",
        ),
    ],
)
def test_a_suite_is_compared_with_how_it_was(
    before: TestReport | None, now: TestReport, whole: bool, ok: bool, summary: str
) -> None:
    run = compare(now, before, whole=whole)
    said, _, named = run.summary.partition(" Look at ")
    assert (run.ok, said) == (ok, summary)
    assert bool(named) == bool(run.new_failures or run.lost)


class Littering:
    """A suite that leaves a file in the tree."""

    async def run(self, request: TestRequest) -> TestReport:
        (request.workspace / "litter.txt").write_text("x")
        return report(a="passed")


async def test_what_tests_leave_behind_is_not_part_of_the_change(context: ToolContext) -> None:
    (context.workspace / "work.txt").write_text("mine")
    done = await use(replace(context, skills=Skills(tests=Littering())), "run_tests")
    assert done["ok"] is True
    assert not (context.workspace / "litter.txt").exists()
    assert (context.workspace / "work.txt").read_text() == "mine"


def finding(name: str, severity: Severity, concern: Concern, line: int = 1) -> Finding:
    return Finding(name, "demo:rule", f"{name} is wrong", severity, concern, Place("src/app.py", line))


FOUND = (
    finding("old", Severity.LOW, Concern.SECURITY),
    finding("new", Severity.HIGH, Concern.QA),
    finding("worst", Severity.CRITICAL, Concern.SECURITY, 3),
)


class Fixed:
    """An inspector that sees the same each time."""

    async def inspect(self, root: Path, paths: Sequence[str]) -> Sequence[Finding]:
        return FOUND


@pytest.mark.parametrize(
    ("wanted", "known", "ok", "gone", "new"),
    [
        (["mended"], FOUND, True, ["mended"], []),
        (["mended"], None, True, ["mended"], []),
        (["mended", "old"], FOUND, False, ["mended"], []),
        (["mended"], FOUND[:1], False, ["mended"], ["new", "worst"]),
    ],
)
async def test_findings_are_compared_with_those_before(
    context: ToolContext,
    wanted: list[str],
    known: tuple[Finding, ...] | None,
    ok: bool,
    gone: list[str],
    new: list[str],
) -> None:
    there = replace(context, skills=Skills(analysis=Fixed()), findings=known)
    checked = await use(there, "check_findings", paths=["src/app.py"], fingerprints=wanted)
    assert (checked["ok"], checked["gone"]) == (ok, gone)
    assert [one["fingerprint"] for one in checked["new"]] == new


async def test_a_roast_shows_the_worst_first(context: ToolContext) -> None:
    there = replace(context, skills=Skills(analysis=Fixed()))
    roast = await use(there, "roast_files", concern="security")
    assert [one["fingerprint"] for one in roast["findings"]] == ["worst", "old"]
    assert (
        roast["summary"] == "2 security findings (1 critical, 1 low). Worst: worst is wrong (src/app.py:3)."
    )
    assert (await use(there, "roast_files", concern="accessibility"))[
        "summary"
    ] == "No accessibility findings."


async def test_notes_variables_and_wishes_are_kept(context: ToolContext) -> None:
    await use(context, "note", text="the key is ghp_abcdefghijklmnopqrstuvwxyz0123456789")
    await use(
        context,
        "request_subtask",
        title="Write the missing test",
        role="qa-engineer",
        why="It is not covered.",
    )
    await use(context, "set_variable", name="plan.first", value="one")
    assert (await use(context, "get_variable", name="plan.first"))["value"] == "one"
    assert "no variable 'absent'" in (await use(context, "get_variable", name="absent"))["error"]
    assert "name" in (await use(context, "get_variable", name="../x"))["error"]
    kept = [event for event in context.journal.events if isinstance(event, NoteTaken | SubtaskRequested)]
    assert kept == [
        NoteTaken("task-1", 3, "c1", "the key is [redacted]"),
        SubtaskRequested("task-1", 3, "c1", "Write the missing test", "qa-engineer", "It is not covered."),
    ]
