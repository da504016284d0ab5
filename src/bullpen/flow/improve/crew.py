"""The crew: send a role on an errand, through the one loop."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bullpen.agents.base import AgentResult, RunLimits
from bullpen.agents.registry import Registry
from bullpen.agents.runtime import Run, run_agent
from bullpen.domain.change import Site
from bullpen.domain.finding import Finding
from bullpen.domain.ids import TaskId
from bullpen.flow.improve.bench import ItemWorktree
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.records import DatabaseJournal, DatabaseScratchpad
from bullpen.flow.improve.session import ImproveSession
from bullpen.models.base import Brief
from bullpen.models.facts import Facts
from bullpen.models.registry import Models
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
    """The roles there are, and the models they think with."""

    means: Means
    models: Models
    registry: Registry

    async def send(self, session: ImproveSession, errand: Errand) -> AgentResult:
        """Run a role on an errand; a run that died goes on from its record."""
        card = self.registry.card(errand.role)
        toolbox = Toolbox(tools_named(card.tools))
        brief = Brief(card.name, card.instructions, errand.text, errand.facts.to_mapping(), toolbox.specs())
        model = card.model or self.means.settings.model
        run = Run(
            self.models.resolve(model),
            self.models.open(model, brief),
            toolbox,
            self._context(session, errand),
            self._limits(session, card.limits),
        )
        result = await run_agent(run)
        session.spent += result.used.cost
        return result

    def _limits(self, session: ImproveSession, limits: RunLimits) -> RunLimits:
        return limits

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
            coverage=session.baseline.coverage if session.baseline else None,
            tried=errand.tried,
            allow_unsafe=errand.allow_unsafe,
            limits=self.means.test_limits(),
        )
