"""A run made up for tests: every outcome once, and text as hostile as a repository can make it."""

from collections.abc import Sequence
from dataclasses import replace

from bullpen.analysis.persona_cards import load_personas
from bullpen.domain.events import Event
from bullpen.domain.events.improve import (
    BranchPublished,
    ChangeLanded,
    EnvironmentPrepared,
    RoastFinished,
    TimeSpent,
    WaveStarted,
)
from bullpen.domain.events.session import StageReached
from bullpen.domain.events.team import ConflictResolved
from bullpen.domain.finding import Concern, Finding, Place, Severity
from bullpen.domain.ids import ActorId, ItemId, SessionId
from bullpen.domain.money import Money
from bullpen.domain.session import Session, Stage
from bullpen.domain.test_report import Coverage, FileCoverage, SuiteEnd, TestOutcome, TestReport, TestResult
from bullpen.domain.verdict import CommandEvidence, Evidence, GateResult, Ruling, Verdict
from bullpen.domain.work_item import ItemDraft, ItemState, ItemStep, Priority, WorkItem
from bullpen.flow.items.reasons import AT_ODDS, BEYOND, MENDED, REFUSED_BEFORE
from bullpen.flow.reports.base import ItemStory, RunReport
from bullpen.kernel.bus.log import Recorded

SESSION = SessionId("ses-made000up0")
START = 1_700_000_000.0
CALM = "`os` imported but unused"
HOSTILE = (
    "</style></title></details>```\n\n<script>alert(1)</script><img src=x onerror=alert(2)> ![x](http://evil.example/p.png)"
    ' " onmouseover="alert(3) [a](javascript:alert(4)) @everyone #1 GH-2 | `</code>` ``` \u202e\u2066 \u200b \x00 \x1b[31m'
    " \udce9 \ud83d {{ 7*7 }} {% raw %} www.evil.example https://evil.example/?a=b&c"
)
SECRET = "AKIA" + "Q3EGRIZ7Y2WMLK5T"
PATCH = b"""diff --git a/a.py b/a.py
index 1..2 100644
--- a/a.py
+++ b/a.py
@@ -1,3 +1,3 @@ def f():
-import os
--- a/not/a/header.py
+<script>alert(5)</script> \xff\xe2\x80\xae
+++ b/not/a/header.py
 kept
\\ No newline at end of file
diff --git "a/sp\\303\\251 ce.bin" "b/sp\\303\\251 ce.bin"
index 1..2 100644
GIT binary patch
literal 3
KcmZQzU<3dF

"""


def finding(number: int, severity: Severity = Severity.LOW, text: str = CALM, url: str = "") -> Finding:
    """One of many."""
    concern = list(Concern)[number % len(Concern)]
    place = Place("src/a.py", number + 1, symbol="f")
    return Finding(
        f"fnd-{number:04}", f"ruff:F{number:03}", text, severity, concern, place, ("ruff",), url=url
    )


def draft(number: int, recipe: str, text: str) -> ItemDraft:
    """What an item is about."""
    return ItemDraft(
        id=ItemId(f"item-{number:04}"),
        kind="general",
        title=f"Tidy src/a.py: {text}",
        why=text,
        rule=f"ruff:F{number:03}",
        path="src/a.py",
        lines=(number + 1,),
        concern=Concern.MAINTAINABILITY,
        severity=Severity.LOW,
        evidence=(text,),
        acceptance=(text,),
        proof=text,
        effort_minutes=10,
        fingerprints=(f"fnd-{number:04}",),
        recipe=recipe,
    )


def item(
    number: int, state: ItemState, *, worked: bool = False, recipe: str = "tidy", text: str = CALM
) -> WorkItem:
    """An item in a state, with a history that leads there."""
    states = [ItemState.PROPOSED, *([ItemState.READY, ItemState.IN_PROGRESS] if worked else []), state]
    history = tuple(ItemStep(START + at, "person", one, text) for at, one in enumerate(states))
    return WorkItem(
        draft(number, recipe, text),
        state,
        Priority(float(20 - number), 2.0, 1.0, 0.5, (text,)),
        1.0,
        reason=text,
        change=f"{number:040x}" if state is ItemState.DONE else "",
        history=history,
    )


def evidence(number: int, text: str) -> Evidence:
    """Proof of a landed item."""
    gates = (GateResult("finding_gone", True, text), GateResult("a_gate_of_mine", False, text))
    return Evidence(
        item=f"item-{number:04}",
        rule=f"ruff:F{number:03}",
        tree_before="1" * 40,
        tree_after="2" * 40,
        patch_sha256="3" * 64,
        commands=(CommandEvidence(("pytest", text), 0, "finished", 1.5, "4" * 64),),
        findings_gone=(f"fnd-{number:04}",),
        findings_new=(),
        tests_before=("t::a", "t::b"),
        tests_after=("t::a",),
        verdict=Verdict(Ruling.ACCEPT, "judge", {}, gates),
    )


def stories(text: str = CALM) -> tuple[ItemStory, ...]:
    """Every outcome once; three landed."""
    landed = [
        ItemStory(item(number, ItemState.DONE, worked=True, text=text), evidence(number, text), PATCH)
        for number in range(3)
    ]
    others = [
        item(3, ItemState.BLOCKED, worked=True, text=text),
        item(4, ItemState.BLOCKED, text=text),
        item(5, ItemState.PROPOSED, recipe="", text=text),
        replace(item(6, ItemState.PROPOSED, text=text), reason=BEYOND),
        item(11, ItemState.PROPOSED, text=text),
        replace(item(7, ItemState.REJECTED, worked=True, text=text), reason=MENDED),
        replace(
            item(8, ItemState.REJECTED, text=text), history=(ItemStep(START, "person", ItemState.REJECTED),)
        ),
        item(12, ItemState.REJECTED, text=text),
        replace(item(13, ItemState.PROPOSED, text=text), reason=f"{REFUSED_BEFORE}{text}"),
        replace(item(14, ItemState.PROPOSED, text=text), reason=f"{AT_ODDS}{text}"),
        replace(item(15, ItemState.BLOCKED, text=text, recipe=""), reason=f"{AT_ODDS}{text}"),
        item(9, ItemState.READY, text=text),
        item(10, ItemState.IN_PROGRESS, worked=True, text=text),
    ]
    return (*landed, *(ItemStory(one, None, b"") for one in others))


def suite(*outcomes: TestOutcome, missing: int = 1, text: str = "") -> TestReport:
    """A run of the tests; ids are ``t::0`` and on."""
    results = tuple(TestResult(f"t::{number}{text}", one) for number, one in enumerate(outcomes))
    files = {"src/a.py": FileCoverage(frozenset(range(2, 10)), frozenset(range(20, 20 + missing)))}
    return TestReport("pytest", ("pytest",), SuiteEnd.FINISHED, results, 1.0, 0, Coverage(files))


def recorded(*events: tuple[float, Event]) -> tuple[Recorded, ...]:
    """Events at seconds since the start."""
    return tuple(
        Recorded(number, SESSION, START + at, ActorId("person"), event)
        for number, (at, event) in enumerate(events, start=1)
    )


def events(text: str = CALM) -> tuple[Recorded, ...]:
    """A short run: two waves, three landings, ten seconds; a report written again an hour later."""
    return recorded(
        (0, StageReached("initialize")),
        (1, EnvironmentPrepared(text, (text,), 1.0)),
        (1, StageReached("planning")),
        (1, StageReached("analysis")),
        (3, RoastFinished("before", 12, (0, 4, 4, 4, 0), 2.0, (text,))),
        (3, ConflictResolved("contradiction", text, "vote", ("fnd-0000",), ("fnd-0001",), "drop", text)),
        (4, StageReached("design")),
        (4, StageReached("implementation")),
        (4, WaveStarted(0, "1" * 40, ("item-0000", "item-0001"))),
        (6, ChangeLanded("item-0001", f"{1:040x}", 6.0)),
        (6, ChangeLanded("item-0000", f"{0:040x}", 6.0)),
        (6, WaveStarted(1, "1" * 40, ("item-0002",))),
        (7, RoastFinished("measured", 12, (0, 4, 4, 4, 0), 2.0)),
        (8, ChangeLanded("item-0002", f"{2:040x}", 8.0)),
        (8, StageReached("testing")),
        (9, RoastFinished("after", 9, (0, 3, 3, 3, 0), 1.0)),
        (9, StageReached("validation")),
        (9, TimeSpent(10.0, 7.5, 42)),
        (10, StageReached("done")),
        (3600, BranchPublished("b", "2" * 40, "/r")),
    )


def run_report(text: str = CALM, *, told: Sequence[ItemStory] | None = None) -> RunReport:
    """The whole. With ``HOSTILE`` every field a repository has a say in holds it."""
    url = "javascript:alert(6)" if text == HOSTILE else "https://docs.example/rule"
    before = tuple(finding(number, Severity(1 + number % 3), text, url) for number in range(12))
    fresh = finding(99, Severity.HIGH, text, url)
    passed, failed = TestOutcome.PASSED, TestOutcome.FAILED
    return RunReport(
        session=Session(SESSION, "improve", text, f"/home/me/{text}", Stage.DONE, False, "{}", START, START),
        name=text,
        base="a" * 40,
        branch="bullpen/ses-made000up0",
        commit="b" * 40,
        where=f"/home/me/{text}",
        mirror="/home/bullpen/mirror.git",
        notes=(text,),
        before=before,
        after=(*before[3:], fresh),
        gone=before[:3],
        new=(fresh,),
        tests_before=suite(passed, passed, failed, TestOutcome.SKIPPED, text=text),
        tests_after=replace(
            suite(passed, failed, passed, TestOutcome.ERROR, missing=3, text=text), notes=(text,)
        ),
        looked_again=True,
        stories=stories(text) if told is None else tuple(told),
        events=events(text),
        seconds={"first change": 6.0},
        cost=Money(1_250_000),
        personas=load_personas(),
        limits={"memory": text},
    )
