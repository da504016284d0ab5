"""Agents as members of a team: those of the fleet (scripts, coding assistants, …) and roles of the roster."""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from bullpen.agents.base import AgentResult, AgentTask
from bullpen.agents.discovery import Key
from bullpen.agents.fleet import Fleet
from bullpen.agents.health import Standing
from bullpen.agents.kinds.built_in import BuiltIn
from bullpen.agents.registry import Roster
from bullpen.domain.actor import Actor
from bullpen.domain.errors import LimitExceeded, Unavailable
from bullpen.flow.teams.base import Assignment, Handed, Member
from bullpen.flow.teams.desk import Desk
from bullpen.flow.teams.journal import SessionJournal
from bullpen.kernel.storage.database import Database
from bullpen.models.facts import Facts
from bullpen.models.registry import Models
from bullpen.sandbox.base import Sandbox
from bullpen.tools.base import CallKey, ToolContext
from bullpen.tools.memory import MemoryWorktree
from bullpen.tools.toolbox import Toolbox, tools_named

DECLARED = 0.8  # what a capability in a manifest is worth before anything was measured
_Process = Callable[[AgentTask, ToolContext], Awaitable[AgentResult]]


class _Busy(Unavailable):
    """The agent works for somebody else, rests or was stopped: no fault of its work."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What agents of a team are given."""

    database: Database
    actor: Actor
    sandbox: Sandbox
    desk: Desk


def fleet_members(fleet: Fleet, bench: Bench) -> list[Member]:
    """Every agent of the fleet; one that rests or was stopped is not available meanwhile."""
    return [fleet_member(fleet, key, bench) for key in sorted(fleet.agents)]


def role_members(roster: Roster, models: Models, names: Iterable[str], bench: Bench) -> list[Member]:
    """Roles of the roster, each an agent of one loop.

    Raises:
        NotFound: there is no such role.
    """
    return [_of_the_roster(roster, models, name, bench) for name in names]


def fleet_member(fleet: Fleet, key: Key, bench: Bench) -> Member:
    """One agent of the fleet. Where it works for others up to its limit, it is not available meanwhile."""
    manifest = fleet.agents[key].manifest

    async def work(assignment: Assignment) -> Handed:
        capability = next((one for one in assignment.task.capabilities if one in manifest.capabilities), "")

        async def process(task: AgentTask, context: ToolContext) -> AgentResult:
            try:
                return await fleet.process(key, task, context, capability)
            except (LimitExceeded, Unavailable) as busy:
                raise _Busy(busy.sentence) from busy

        try:
            return await _at_the_desk(bench, manifest.name, assignment, process)
        except _Busy as busy:
            return Handed(done=False, summary=busy.sentence, blameless=True)

    def available() -> bool:
        one = fleet.agents.get(key)
        if one is None or fleet.health(key).running >= one.manifest.limits.concurrency:
            return False
        return fleet.standing(key) in (Standing.READY, Standing.ON_TRIAL)

    skills = dict.fromkeys(manifest.capabilities, DECLARED)
    most = manifest.limits.concurrency
    return Member(manifest.name, skills, work, most, available, resumes=manifest.resumes)


def _of_the_roster(roster: Roster, models: Models, name: str, bench: Bench) -> Member:
    card = roster.card(name)
    agent = BuiltIn(card, models, Toolbox(tools_named(card.tools)))

    async def work(assignment: Assignment) -> Handed:
        return await _at_the_desk(bench, name, assignment, agent.process)

    return Member(name, dict.fromkeys((*card.capabilities, f"role:{name}"), DECLARED), work, resumes=True)


async def _at_the_desk(bench: Bench, name: str, assignment: Assignment, process: _Process) -> Handed:
    """Work in a copy of the files, and put back what was changed if the agent says that it is done."""
    node = assignment.task
    facts = Facts.from_mapping(json.loads(assignment.input))
    task = AgentTask(node.id, assignment.text, facts, assignment.attempt, assignment.seconds)
    async with bench.desk.copied(node.id) as copy:
        context = ToolContext(
            CallKey(node.id, assignment.attempt, 0, ""),
            name,
            copy.folder,
            SessionJournal(bench.database, bench.actor, assignment.session),
            sandbox=bench.sandbox,
            worktree=MemoryWorktree(copy.folder),
        )
        result = await process(task, context)
        if not result.done:
            return Handed(done=False, summary=result.summary, data=result.data, cost=result.used.cost)
        if late := assignment.claim():
            return Handed(done=False, summary=late, cost=result.used.cost, ignored=True)
        landed = await bench.desk.land(copy, node.id, name)
    if landed.resolutions:
        why = " ".join(one.reason for one in landed.resolutions)
        spent = result.used.cost
        return Handed(done=False, summary=why, cost=spent, resolutions=landed.resolutions, blameless=True)
    return Handed(
        done=True, summary=result.summary, data=result.data, changes=landed.changes, cost=result.used.cost
    )
