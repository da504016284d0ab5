"""The built-in agent through its interface, with every role of the roster."""

import tracemalloc
from dataclasses import replace

import pytest

from bullpen.agents.base import Agent, AgentResult, AgentTask, Ending
from bullpen.agents.kinds.built_in import BuiltIn, brief_of
from bullpen.agents.registry import load_roster
from bullpen.agents.self_correct import Attempt, Failure, self_correct
from bullpen.domain.errors import NotFound
from bullpen.domain.ids import TaskId
from bullpen.domain.verdict import GateResult
from bullpen.models.facts import Facts
from bullpen.models.providers.scripted import Scripted, call
from bullpen.models.registry import Models
from bullpen.tools.base import ToolContext
from bullpen.tools.toolbox import Toolbox, tools_named

ROSTER = load_roster()


def agent(role: str, models: Models | None = None) -> Agent:
    card = ROSTER.card(role)
    return BuiltIn(card, models or Models(), Toolbox(tools_named(card.tools)))


class Passing:
    """Gates that pass."""

    async def evaluate(self) -> list[GateResult]:
        return [GateResult("tests-pass", True, "2 tests pass")]


@pytest.mark.req("AGT-01")
async def test_an_agent_is_made_ready_works_and_lets_go(context: ToolContext) -> None:
    one = agent("developer")
    await one.initialize()
    task = AgentTask(TaskId("task-9"), "Mend it.", Facts("calc.py", recipes=("mends",)))
    result = await one.process(task, context)
    await one.cleanup()
    assert result.done
    assert result.summary.startswith("Applied mends@calc.py:all")
    assert {event.task_id for event in context.journal.events} == {"task-9"}


@pytest.mark.req("AGT-01")
async def test_an_agent_without_its_model_is_not_made_ready() -> None:
    with pytest.raises(NotFound, match="no model called 'default'"):
        await agent("developer", Models({})).initialize()


@pytest.mark.parametrize("role", sorted(ROSTER.cards))
async def test_every_role_comes_to_an_end_with_the_playbook(context: ToolContext, role: str) -> None:
    there = replace(context, skills=replace(context.skills, gates=Passing()))
    facts = Facts("calc.py", recipes=("mends",), subtasks=(("Mend it", "developer", "it is wrong"),))
    result = await agent(role).process(AgentTask(TaskId("t"), "Do it.", facts), there)
    assert result.ending in (Ending.FINISHED, Ending.FAILED)
    assert result.outcome
    assert result.done is (role in ("developer", "judge", "lead"))


@pytest.mark.req("AGT-02")
def test_a_brief_holds_instructions_task_facts_and_guides(context: ToolContext) -> None:
    (context.workspace / "AGENTS.md").write_text("Use tabs. token ghp_abcdefghijklmnopqrstuvwxyz0123456789")
    card = ROSTER.card("reviewer")
    toolbox = Toolbox(tools_named(card.tools))
    brief = brief_of(card, AgentTask(TaskId("t"), "Look.", Facts("calc.py")), toolbox, context)
    assert brief.instructions == card.instructions
    assert brief.task.startswith("Look.")
    assert '{"path": "calc.py"}' in brief.task
    assert '<data source="AGENTS.md">\nUse tabs. token [redacted]\n</data>' in brief.task
    assert [tool.name for tool in brief.tools] == list(card.tools)


@pytest.mark.req("AGT-08")
async def test_a_rejected_change_is_done_another_way(context: ToolContext) -> None:
    start = await context.worktree.snapshot()
    rejected: list[AgentResult] = []

    async def work(task: AgentTask, tried: frozenset[str]) -> Attempt:
        await context.worktree.restore(start)
        result = await agent("developer").process(task, replace(context, tried=tried))
        text = (context.workspace / "calc.py").read_text()
        if result.done and text.count("is None") == 1:
            return Attempt(result)
        rejected.append(result)
        return Attempt(result, Failure(task.attempt, "too much at once", text, "", result.tried))

    task = AgentTask(TaskId("t"), "Mend it.", Facts("calc.py", (2, 6), recipes=("mends",)))
    corrected = await self_correct(work, task, 3)
    assert [one.tried for one in rejected] == [("mends@calc.py:2,6",)]
    assert corrected.accepted is not None
    assert corrected.accepted.data == {"approach": "mends@calc.py:2"}


@pytest.mark.req("AGT-08")
async def test_a_language_model_that_repeats_itself_is_refused(context: ToolContext) -> None:
    again = call("apply_recipe", recipe="mends", path="calc.py")
    script = Scripted.of([again, call("finish", summary="Done.")])
    one = agent("developer", Models({"default": "scripted:"}, {"scripted": script}))
    there = replace(context, tried=frozenset({"mends@calc.py:all"}))
    await one.process(AgentTask(TaskId("t"), "Mend it."), there)
    contents = [event.content for event in context.journal.events if type(event).__name__ == "ToolFinished"]
    assert "was tried before and failed" in contents[0]


@pytest.mark.req("AGT-12")
def test_ten_thousand_idle_agents_are_small() -> None:
    card, models = ROSTER.card("developer"), Models()
    toolbox = Toolbox(tools_named(card.tools))
    tracemalloc.start()
    agents = [BuiltIn(card, models, toolbox) for _ in range(10_000)]
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used / len(agents) < 2048
