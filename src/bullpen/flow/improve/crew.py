"""The crew: send a role on an errand, through the one loop."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bullpen.agents.base import AgentResult, AgentTask
from bullpen.agents.card import Card
from bullpen.agents.kinds.built_in import BuiltIn
from bullpen.agents.registry import Roster
from bullpen.domain.change import Site
from bullpen.domain.errors import LimitExceeded
from bullpen.domain.finding import Finding
from bullpen.domain.ids import TaskId
from bullpen.domain.money import Money
from bullpen.flow.context.errand import context_event, errand_text, errand_window
from bullpen.flow.context.window import windowed
from bullpen.flow.improve.bench import ItemWorktree
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.records import DatabaseJournal, DatabaseScratchpad, money_spent
from bullpen.flow.improve.session import ImproveSession
from bullpen.models.facts import Facts
from bullpen.models.registry import Models
from bullpen.sessions.actions import join_session
from bullpen.sessions.queries import list_carried
from bullpen.tools.base import CallKey, Skills, ToolContext
from bullpen.tools.toolbox import Toolbox, tools_named
from bullpen.tools.workspace import Scope


@dataclass(frozen=True, slots=True)
class Errand:
    """One task for one role, and all it may touch."""

    task: TaskId
    role: str
    text: str
    facts: Facts
    attempt: int
    workspace: Path
    skills: Skills
    worktree: ItemWorktree | None = None
    scope: Scope = field(default_factory=Scope)
    sites: Mapping[str, tuple[Site, ...]] = field(default_factory=dict[str, tuple[Site, ...]])
    findings: tuple[Finding, ...] = ()
    tried: frozenset[str] = frozenset()
    allow_unsafe: bool = False


@dataclass(frozen=True, slots=True)
class Crew:
    """The roles there are, and the models they think with. The default model is the one that is set."""

    means: Means
    models: Models
    roster: Roster

    async def send(self, session: ImproveSession, errand: Errand) -> AgentResult:
        """Run a role on an errand; a run that died goes on from its record.

        Raises:
            LimitExceeded: the session's budget is used up.
        """
        card = await self._within_budget(self.roster.card(errand.role), session)
        agent = BuiltIn(card, windowed(self.models), Toolbox(tools_named(card.tools)))
        text = await self._text(session, errand)
        task = AgentTask(errand.task, text, errand.facts, errand.attempt, self.means.settings.agent_seconds)
        return await agent.process(task, self._context(session, errand))

    async def _text(self, session: ImproveSession, errand: Errand) -> str:
        """The errand's words, with what earlier sessions of the project left; who takes part is told."""
        async with self.means.database.transaction(self.means.actor) as uow:
            await join_session(uow, session.id, f"agent:{errand.role}")
            carried = await list_carried(uow, session.options.source)
            earlier = [fact for fact in carried if fact.session != session.id]
            window = errand_window(errand.text, earlier, errand.facts.path)
            if earlier:
                uow.record(session.id, context_event(errand.task, window))
        return errand_text(window)

    async def _within_budget(self, card: Card, session: ImproveSession) -> Card:
        """The card, with no more to spend than all processes have left; a budget of nothing means no limit for free models only."""
        budget = session.options.budget
        if budget == Money():
            return card
        spent = await money_spent(self.means, session)
        left = Money(budget.micro_usd - spent.micro_usd)
        if left <= Money():
            raise LimitExceeded(
                f"The budget of {budget} is used up.", remedy="Run again with a larger --budget."
            )
        cost = left if card.limits.cost is None else min(left, card.limits.cost)
        return replace(card, limits=replace(card.limits, cost=cost))

    def _context(self, session: ImproveSession, errand: Errand) -> ToolContext:
        return ToolContext(
            key=CallKey(errand.task, errand.attempt, 0, ""),
            role=errand.role,
            workspace=errand.workspace,
            journal=DatabaseJournal(self.means, session.id),
            scope=errand.scope,
            sandbox=self.means.sandbox,
            environment=session.tests.environment,
            scratchpad=DatabaseScratchpad(self.means, session.id, errand.task, errand.role),
            worktree=errand.worktree,
            skills=errand.skills,
            sites=errand.sites,
            baseline=session.baseline,
            findings=errand.findings,
            coverage=session.coverage,
            tried=errand.tried,
            allow_unsafe=errand.allow_unsafe,
            limits=self.means.test_limits(),
        )
