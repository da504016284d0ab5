"""Send a role on an errand in the run's checkout. With no model set, the playbook answers by rule."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bullpen.agents.base import AgentResult
from bullpen.agents.registry import load_roster
from bullpen.domain.errors import NotFound
from bullpen.domain.ids import TaskId, derived_id
from bullpen.flow.definitions.base import TAIL, Kind, StepResult, StepState, Work
from bullpen.flow.definitions.ground import agent_session, own_worktree
from bullpen.flow.definitions.model import Strict
from bullpen.flow.improve.bench import ItemInspector, ItemTests, ItemWorktree
from bullpen.flow.improve.crew import Errand
from bullpen.flow.improve.item_git import ItemGit
from bullpen.models.facts import Facts
from bullpen.tools.base import Skills
from bullpen.tools.workspace import Scope


def _role(name: str) -> str:
    """ValueError if the roster has no such role."""
    try:
        return load_roster().card(name).name
    except NotFound as error:
        raise ValueError(error.sentence) from error


class AgentInputs(Strict):
    """``text`` is the errand. ``paths`` are what it may change (globs of folders end with ``/``); empty: read only.

    ``facts`` are for models that answer by rule. ``accept`` are the agent's own words that count as done.
    """

    role: Annotated[str, AfterValidator(_role)]
    text: Annotated[str, Field(min_length=1)]
    paths: tuple[str, ...] = ()
    facts: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    accept: tuple[str, ...] = ("done",)


async def _run(work: Work, given: AgentInputs) -> StepResult:
    means = work.bench.means
    session = await agent_session(work)
    worktree = ItemWorktree(await own_worktree(work), session.opened.base)
    facts = Facts.from_mapping(given.facts)
    errand = Errand(
        task=TaskId(derived_id("task", work.session_id, work.key)),
        role=given.role,
        text=given.text,
        facts=facts,
        attempt=work.run * 100 + work.attempt,
        workspace=work.workspace,
        worktree=worktree,
        scope=_scope(given.paths),
        skills=Skills(
            recipes=means.recipes,
            tests=ItemTests(session, worktree),
            analysis=ItemInspector(means, worktree, facts.rules, ()),
            git=ItemGit(worktree),
        ),
    )
    return _result(await work.bench.crew.send(session, errand), given)


def _scope(paths: tuple[str, ...]) -> Scope:
    folders = tuple(path.rstrip("/") for path in paths if path.endswith("/"))
    return Scope(files={path: () for path in paths if not path.endswith("/")}, folders=folders)


def _result(result: AgentResult, given: AgentInputs) -> StepResult:
    outcome = result.outcome or result.ending.value
    accepted = outcome in given.accept
    cost = result.used.cost.micro_usd / 1e6
    return StepResult(
        StepState.DONE if accepted else StepState.FAILED,
        result.summary[-TAIL:],
        "" if accepted else f"the {given.role} ended with {outcome}: {result.summary or result.seen}",
        measured={"outcome": outcome, "steps": result.steps, "cost_usd": cost},
    )


KIND = Kind(AgentInputs, _run)
