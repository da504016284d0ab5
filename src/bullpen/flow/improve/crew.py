"""The crew: agents of whatever kind, sent on an errand; see ``giving`` for who gets it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bullpen.agents.base import AgentResult, AgentTask, Ending
from bullpen.agents.card import Card
from bullpen.agents.discovery import Key
from bullpen.agents.kinds.built_in import BuiltIn
from bullpen.agents.means import Means as AgentMeans
from bullpen.agents.registry import Roster
from bullpen.domain.change import Site
from bullpen.domain.errors import AWAY, BullpenError
from bullpen.domain.finding import Finding
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.flow.context.errand import context_event, errand_text, errand_window
from bullpen.flow.context.window import windowed
from bullpen.flow.improve.bench import ItemWorktree
from bullpen.flow.improve.budget_holds import money_for
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.records import DatabaseJournal, DatabaseScratchpad
from bullpen.flow.improve.session import ImproveSession
from bullpen.flow.improve.staff import Staff, gather_staff
from bullpen.kernel.redaction import Redactor
from bullpen.models.facts import Facts
from bullpen.models.registry import Models
from bullpen.sessions.actions import join_session
from bullpen.sessions.queries import list_carried
from bullpen.tools.base import CallKey, Skills, ToolContext
from bullpen.tools.toolbox import Toolbox, tools_named
from bullpen.tools.workspace import Scope

MOST_STAFFS = 64  # sessions whose staff a process remembers


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
    tree: str = ""  # what the worktree holds as the errand begins; empty: its commit


@dataclass(frozen=True, slots=True)
class Crew:
    """The roles there are, the models they think with, and what agents that reach outside are given.

    The default model is the one that is set.
    """

    means: Means
    models: Models
    roster: Roster
    agents: AgentMeans = field(default_factory=AgentMeans)
    staffs: dict[SessionId, Staff] = field(default_factory=dict[SessionId, Staff])
    gathering: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def send(self, session: ImproveSession, errand: Errand) -> AgentResult:
        """Run a role on an errand; a run that died goes on from its record.

        Raises:
            LimitExceeded: the session's budget is used up.
        """
        return await self.run_card(session, errand, self.roster.card(errand.role))

    async def staff(self, session: ImproveSession) -> Staff:
        """Who may be given work in a session."""
        async with self.gathering:
            if session.id not in self.staffs:
                staff = await gather_staff(self.means, session, self.models, self.agents)
                self.staffs[session.id] = staff
                if len(self.staffs) > MOST_STAFFS:
                    del self.staffs[next(iter(self.staffs))]
            staff = self.staffs[session.id]
            await staff.refresh()
        return staff

    def seconds(self, session: ImproveSession, agent: str) -> float:
        """The longest time of one agent at one item of a session."""
        tuned = session.tuned
        held = tuned.seconds and (not tuned.timed or agent in tuned.timed)
        return tuned.seconds if held else self.means.settings.agent_seconds

    async def run_registered(
        self, staff: Staff, session: ImproveSession, errand: Errand, key: Key, capability: str
    ) -> AgentResult:
        """Run an agent that was found in a folder; what keeps it from working is its failure, not the item's.

        Raises:
            LimitExceeded: the session's budget is used up.
        """
        one = staff.fleet.agents.get(key)
        attempt, wanted = (errand.task, errand.attempt), one.manifest.limits.cost if one else None
        async with money_for(self.means, session, attempt, wanted) as cost:
            task = AgentTask(
                errand.task,
                await self._text(session, errand),
                errand.facts,
                errand.attempt,
                self.seconds(session, errand.role),
                cost,
            )
            try:
                await self._examine(staff, key)
                return await staff.fleet.process(key, task, self._context(session, errand), capability)
            except BullpenError as error:
                if error.code == AWAY:
                    raise
                return AgentResult(Ending.FAILED, error.sentence, seen=error.sentence)

    async def _examine(self, staff: Staff, key: Key) -> None:
        """Ask an agent how it is before its first task here, if its manifest says how; one that is not well rests."""
        one = staff.fleet.agents.get(key)
        if one is None or not (one.manifest.health or one.manifest.needs) or one.title in staff.examined:
            return
        staff.examined.add(one.title)
        await staff.fleet.examine([key], self.means.sandbox)

    async def run_card(self, session: ImproveSession, errand: Errand, card: Card) -> AgentResult:
        """Run a role by its card, through the one loop. Raises as ``send`` does."""
        wanted = Money() if self._is_free(card) else card.limits.cost
        async with money_for(self.means, session, (errand.task, errand.attempt), wanted) as cost:
            card = _within(card, cost)
            redactor = self._redactor(session)
            agent = BuiltIn(card, windowed(self.models), Toolbox(tools_named(card.tools), redactor=redactor))
            text = await self._text(session, errand)
            task = AgentTask(
                errand.task, text, errand.facts, errand.attempt, self.seconds(session, errand.role)
            )
            return await agent.process(task, self._context(session, errand))

    def _is_free(self, card: Card) -> bool:
        """Whether its model is known to cost nothing; one whose prices are unknown may cost anything."""
        facts = self.models.facts(card.model)
        return facts.input_price == facts.output_price == Money()

    def _redactor(self, session: ImproveSession) -> Redactor:
        """Knows the keys of the agents of a session, so that none gets into a record, whoever says it."""
        staff = self.staffs.get(session.id)
        found = staff.fleet.agents.values() if staff else ()
        names = sorted({one.manifest.secret for one in found} - {""})
        return Redactor(value for name in names if (value := self._value(name)))

    def _value(self, name: str) -> str | None:
        try:
            return self.agents.secret(name)
        except BullpenError:
            return None  # whose key it is cannot have it either, and is told why when it begins

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
            redactor=self._redactor(session),
        )


def _within(card: Card, cost: Money | None) -> Card:
    """The card, with no more to spend than it was given; None where there is no budget."""
    if cost is None:
        return card
    least = cost if card.limits.cost is None else min(cost, card.limits.cost)
    return replace(card, limits=replace(card.limits, cost=least))
