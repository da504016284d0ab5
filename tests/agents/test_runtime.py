"""The loop, end to end on a folder, and from every place it can die at."""

import asyncio
import dataclasses

import pytest

from bullpen.agents.base import Ending, RunLimits
from bullpen.agents.runtime import Run, run_agent
from bullpen.domain.events import Event
from bullpen.domain.events.agent import (
    AgentStopped,
    ModelReplied,
    ToolFinished,
    ToolRefused,
    ToolStarted,
)
from bullpen.domain.events.team import TaskAssigned
from bullpen.domain.money import Money
from bullpen.models.base import Brief
from bullpen.models.facts import Facts
from bullpen.models.providers import playbook
from bullpen.models.providers.scripted import Scripted, ScriptedCall, ScriptedReply, call, fail
from bullpen.tools.base import Risk, ToolContext
from bullpen.tools.memory import MemoryJournal
from bullpen.tools.policy import Rule, decide
from bullpen.tools.toolbox import Answer, Approval, Toolbox, tools_named

DEVELOPER = ("apply_recipe", "run_tests", "restore_files", "read_file", "write_file", "note", "finish")


def developer_run(context: ToolContext, *recipes: str, **facts: object) -> Run:
    brief = Brief("developer", "", "Mend it.", Facts("calc.py", recipes=recipes, **facts).to_mapping())
    dialogue = playbook.PROVIDER.open("rules", brief)
    return Run("playbook:rules", dialogue, Toolbox(tools_named(DEVELOPER)), context)


def scripted_run(context: ToolContext, *replies: ScriptedReply, limits: RunLimits | None = None) -> Run:
    dialogue = Scripted.of(replies).open("", Brief("developer", "", ""))
    toolbox = Toolbox(tools_named(DEVELOPER))
    return Run("scripted:", dialogue, toolbox, context, limits or RunLimits())


def kinds(context: ToolContext) -> list[str]:
    return [type(event).__name__ for event in context.journal.events]


async def test_the_playbook_mends_a_file_and_leaves_a_record(context: ToolContext) -> None:
    result = await run_agent(developer_run(context, "mends"))
    assert result.done
    assert result.tried == ("mends@calc.py:all",)
    assert "x is None" in (context.workspace / "calc.py").read_text()
    assert kinds(context) == [
        "AgentStarted",
        *["ModelReplied", "ToolStarted", "ToolFinished"] * 3,
        "AgentStopped",
    ]


@pytest.mark.req("LRN-02")
async def test_what_others_told_of_an_attempt_before_is_no_run_of_it(context: ToolContext) -> None:
    key = context.key
    await context.journal.append(TaskAssigned(key.task_id, "developer", key.attempt, "it is best"))
    assert (await run_agent(developer_run(context, "mends"))).done
    assert kinds(context)[:2] == ["TaskAssigned", "AgentStarted"]


@pytest.mark.req("AGT-08")
async def test_a_failing_approach_is_taken_back_and_another_one_taken(context: ToolContext) -> None:
    result = await run_agent(developer_run(context, "fits-nothing", "breaks", "mends"))
    assert result.done
    assert result.data == {"approach": "mends@calc.py:all"}
    assert "undefined" not in (context.workspace / "calc.py").read_text()


@pytest.mark.req("AGT-08")
async def test_what_was_tried_is_not_tried_again(context: ToolContext) -> None:
    before = (context.workspace / "calc.py").read_bytes()
    result = await run_agent(developer_run(context, "mends", tried=("mends@calc.py:all",)))
    assert (result.ending, result.outcome) == (Ending.FAILED, "no-approach")
    assert (context.workspace / "calc.py").read_bytes() == before


@pytest.mark.req("AGT-08")
async def test_sites_that_cannot_be_mended_together_are_mended_in_part(context: ToolContext) -> None:
    (context.workspace / "calc.py").write_text(
        "def none(x):\n    return x == None\n\n\nzero = 'x == None'.upper\n"
    )
    (context.workspace / "test_calc.py").write_text(
        "import calc\ndef test_text():\n    assert calc.zero() == 'X == NONE'\ndef test_none():\n    assert calc.none(None)\n"
    )
    context = dataclasses.replace(context, worktree=type(context.worktree)(context.workspace))
    result = await run_agent(developer_run(context, "mends", lines=(2, 5)))
    assert result.data == {"approach": "mends@calc.py:2"}
    assert (context.workspace / "calc.py").read_text().count("is None") == 1


class Died(Exception):
    """The process is gone."""


class DyingJournal(MemoryJournal):
    """Dies when it holds so many events, before or after it has kept the next ones."""

    def __init__(self, deaths: int) -> None:
        super().__init__()
        self.left = deaths

    async def append(self, *events: Event) -> None:
        if self.left == 0:
            raise Died
        self.left -= 1
        await super().append(*events)


@pytest.mark.parametrize("appends", range(12))
async def test_a_run_that_dies_goes_on_without_repeating_a_model_call(
    context: ToolContext, appends: int
) -> None:
    whole = dataclasses.replace(context, journal=MemoryJournal())
    expected = await run_agent(developer_run(whole, "fits-nothing", "breaks", "mends"))
    await whole.worktree.restore(whole.journal.events[0].tree)

    journal = DyingJournal(appends)
    dying = dataclasses.replace(context, journal=journal)
    with pytest.raises(Died):
        await run_agent(developer_run(dying, "fits-nothing", "breaks", "mends"))
    (context.workspace / "calc.py").write_text("half written when the power went\n")
    if not journal.events:
        await context.worktree.restore(whole.journal.events[0].tree)
    journal.left = -1
    result = await run_agent(developer_run(dying, "fits-nothing", "breaks", "mends"))

    assert result == expected
    assert shape(journal.events) == shape(whole.journal.events)
    assert "x is None" in (context.workspace / "calc.py").read_text()


def shape(events: list[Event]) -> list[tuple[object, ...]]:
    """What counts of a record: replies and results once each, with their content."""
    return [
        (type(event), event.step, getattr(event, "content", getattr(event, "calls", "")))
        for event in events
        if isinstance(event, ModelReplied | ToolFinished)
    ]


async def test_a_finished_run_is_not_run_again(context: ToolContext) -> None:
    first = await run_agent(developer_run(context, "mends"))
    count = len(context.journal.events)
    assert await run_agent(developer_run(context, "mends")) == first
    assert len(context.journal.events) == count


async def test_a_finished_call_is_not_made_again_and_a_started_one_is(context: ToolContext) -> None:
    replies = (
        ScriptedReply(
            calls=(
                ScriptedCall(tool="write_file", arguments={"path": "one.txt", "text": "1"}, id="a"),
                ScriptedCall(tool="write_file", arguments={"path": "two.txt", "text": "2"}, id="b"),
            )
        ),
        call("finish", summary="Both are there."),
    )
    journal = DyingJournal(3)  # AgentStarted; reply with start of a; end of a; then the start of b is lost
    dying = dataclasses.replace(context, journal=journal)
    with pytest.raises(Died):
        await run_agent(scripted_run(dying, *replies))
    journal.left = -1
    result = await run_agent(scripted_run(dying, *replies))
    assert result.done
    starts = [event.call_id for event in journal.events if isinstance(event, ToolStarted)]
    assert starts == ["a", "b", "s1.0"]


@pytest.mark.req("AGT-07", "AGT-13")
async def test_limits_of_steps_and_cost_end_a_run_with_the_reason(context: ToolContext) -> None:
    notes = [call("note", text=f"step {number}") for number in range(9)]
    result = await run_agent(scripted_run(context, *notes, limits=RunLimits(steps=4)))
    assert (result.ending, result.steps, result.seen) == (Ending.LIMIT, 4, "All 4 steps were used.")

    other = dataclasses.replace(context, journal=MemoryJournal())
    costly = [dataclass_reply(number) for number in range(9)]
    result = await run_agent(scripted_run(other, *costly, limits=RunLimits(cost=Money(2_500_000))))
    assert (result.ending, result.steps, result.used.cost) == (Ending.LIMIT, 3, Money(3_000_000))
    assert "$3.00 of $2.50" in result.seen


def dataclass_reply(number: int) -> ScriptedReply:
    reply = call("note", text=f"step {number}")
    return reply.model_copy(update={"cost_micro_usd": 1_000_000})


@pytest.mark.req("AGT-01")
async def test_a_deadline_ends_a_run_with_the_reason(context: ToolContext) -> None:
    slow = ScriptedReply(delay=60.0, text="late")
    result = await run_agent(scripted_run(context, slow, limits=RunLimits(seconds=0.05)))
    assert (result.ending, result.seen) == (Ending.LIMIT, "The time of 0.05 s was used up.")
    assert isinstance(context.journal.events[-1], AgentStopped)


@pytest.mark.req("AGT-01")
async def test_a_cancel_with_a_reason_ends_a_run_and_a_bare_one_leaves_it_open(context: ToolContext) -> None:
    slow = ScriptedReply(delay=60.0, text="late")
    for reason, ended in ((None, False), ("A person stopped it.", True)):
        run = scripted_run(context, slow)
        task = asyncio.create_task(run_agent(run))
        await asyncio.sleep(0)
        assert run.dialogue.played == 1
        task.cancel(reason) if reason else task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance(context.journal.events[-1], AgentStopped) is ended
    result = await run_agent(scripted_run(context, slow))
    assert (result.ending, result.seen) == (Ending.CANCELLED, "A person stopped it.")


async def test_a_reply_that_breaks_off_is_asked_for_again_and_not_for_ever(context: ToolContext) -> None:
    once = await run_agent(scripted_run(context, fail("cut", "I was"), call("finish", summary="Done.")))
    assert once.done
    assert once.steps == 1
    other = dataclasses.replace(context, journal=MemoryJournal())
    never = await run_agent(scripted_run(other, *[fail("overloaded")] * 9))
    assert (never.ending, never.steps) == (Ending.FAILED, 0)
    assert "overloaded" in never.seen


async def test_a_rate_limit_is_not_asked_again(context: ToolContext) -> None:
    run = scripted_run(context, fail("rate-limit"), call("finish", summary="Done."))
    result = await run_agent(run)
    assert result.ending is Ending.FAILED
    assert run.dialogue.played == 1


async def test_malformed_calls_come_back_to_the_model_and_are_recorded(context: ToolContext) -> None:
    result = await run_agent(
        scripted_run(
            context,
            ScriptedReply(calls=(ScriptedCall(tool="read_file", arguments='{"path": "calc'),)),
            call("read_file", file="calc.py"),
            call("launch_rocket"),
            call("finish", summary="Done."),
        )
    )
    assert result.done
    refused = [event.reason for event in context.journal.events if isinstance(event, ToolRefused)]
    assert "not valid JSON" in refused[0]
    assert "path: Field required" in refused[1]
    assert "file: Extra inputs are not permitted" in refused[1]
    assert "no tool 'launch_rocket' for you; you have: apply_recipe" in refused[2]


@pytest.mark.req("TOL-02")
async def test_a_call_that_waits_for_a_person_goes_on_when_there_is_an_answer(context: ToolContext) -> None:
    answers = [Answer.PENDING, Answer.GRANTED]
    asked: list[Approval] = []

    async def approver(approval: Approval) -> Answer:
        asked.append(approval)
        return answers[len(asked) - 1]

    def run() -> Run:
        made = scripted_run(
            context, call("write_file", path="new.txt", text="x"), call("finish", summary="Done.")
        )
        policy = decide(project={Risk.WRITE: Rule.ASK})
        made.toolbox = dataclasses.replace(made.toolbox, policy=policy, approver=approver)
        return made

    waiting = await run_agent(run())
    assert waiting.ending is Ending.WAITING
    assert waiting.approval == asked[0]
    assert not (context.workspace / "new.txt").exists()
    result = await run_agent(run())
    assert result.done
    assert asked[1].id == asked[0].id
    assert (context.workspace / "new.txt").read_text() == "x"
    assert kinds(context).count("ModelReplied") == 2


async def test_two_calls_with_one_id_are_both_made(context: ToolContext) -> None:
    calls = tuple(ScriptedCall(tool="note", arguments={"text": text}, id="same") for text in ("one", "two"))
    await run_agent(scripted_run(context, ScriptedReply(calls=calls), call("finish", summary="Done.")))
    assert [event.text for event in context.journal.events if type(event).__name__ == "NoteTaken"] == [
        "one",
        "two",
    ]
