"""Who there is for a session: the roles of the roster, what the repository adds to them, and agents found in folders."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bullpen.agents.discovery import Source
from bullpen.agents.fleet import Fleet
from bullpen.agents.health import Standing
from bullpen.agents.ledger import RecordedLedger
from bullpen.agents.means import Means as AgentMeans
from bullpen.agents.opening import Found, Places
from bullpen.agents.registry import Quarantined, Roster, load_roster
from bullpen.domain.errors import NotFound
from bullpen.domain.events.team import AgentQuarantined
from bullpen.flow.improve.means import Means
from bullpen.flow.improve.routing import CrewMember, fleet_member, role_member
from bullpen.flow.improve.session import ImproveSession
from bullpen.kernel.clock import now
from bullpen.models.registry import Models
from bullpen.sessions.actions import note_facts
from bullpen.sessions.queries import get_session
from bullpen.tools.workspace import write_bytes
from bullpen.vcs.trees import TreeEntry, list_tree, read_blobs

LOOK_SECONDS = 15.0  # between two looks into the folders of agents
_PARTS = (".bullpen/agents/", ".bullpen/namespace.yaml")
_MOST_FILES = 2_000
_TOLD = "set_aside"


@dataclass(slots=True)
class Staff:
    """Who may be given work in a session, and how they fare. ``brought`` is what the repository has."""

    models: Models
    roster: Roster
    brought: Path
    found: Found
    members: Mapping[str, CrewMember] = field(default_factory=dict[str, CrewMember])
    examined: set[str] = field(default_factory=set[str])
    looked_at: float = float("-inf")

    @property
    def fleet(self) -> Fleet:
        """The programs among them."""
        return self.found.fleet

    async def refresh(self) -> None:
        """Look whether agents came, changed or went; not more often than every few seconds."""
        if time.monotonic() - self.looked_at < LOOK_SECONDS:
            return
        self.looked_at = time.monotonic()
        if await self.found.look() or not self.members:
            self.members = {one.id: one for one in self._everybody()}

    def away(self) -> frozenset[str]:
        """Those who take nothing now: they rest after faults, or were stopped."""
        ready = (Standing.READY, Standing.ON_TRIAL)
        return frozenset(
            one.id
            for one in self.members.values()
            if one.key is not None and self.fleet.standing(one.key) not in ready
        )

    def set_aside(self) -> list[Quarantined]:
        """Cards and manifests that are faulty or ask for too much."""
        return [*self.roster.quarantined, *self.fleet.quarantined]

    def _everybody(self) -> Iterable[CrewMember]:
        for card in self.roster.cards.values():
            model = self._model(card.model)
            if model:
                yield role_member(card, model, own=card.source.startswith(".bullpen/"))
        for one in self.fleet.agents.values():
            yield fleet_member(one, trusted=not one.folder.is_relative_to(self.brought))

    def _model(self, alias: str) -> str:
        try:
            return self.models.resolve(alias)
        except NotFound:
            return ""  # nobody can think with it here


async def gather_staff(means: Means, session: ImproveSession, models: Models, agents: AgentMeans) -> Staff:
    """The staff of a session. What was set aside is said once, in events."""
    brought = means.folder(session.id).path / "agents" / session.opened.base[:16]
    await _bring(session.mirror, session.opened.base, brought)
    roster = await asyncio.to_thread(load_roster, brought)
    fleet = Fleet(agents, clock=now, ledger=RecordedLedger(means.database, means.actor))
    places = Places((Source(means.settings.agent_folder),), brought)
    staff = Staff(models, roster, brought, Found(fleet, places, means.database, means.actor))
    await staff.refresh()
    await _tell(means, session, staff.set_aside(), brought)
    return staff


async def _bring(mirror: Path, base: str, folder: Path) -> None:
    """The repository's agents as they are at ``base``, as files: no change of a session can bring its own."""
    listed = await list_tree(mirror, base)
    entries = [one for one in listed if one.is_file and _is_of_agents(one.path)][:_MOST_FILES]
    contents = await read_blobs(mirror, [one.blob for one in entries])
    await asyncio.to_thread(_write, folder, entries, contents)


def _is_of_agents(path: str) -> bool:
    if not path.isprintable():
        return False
    return path.startswith(_PARTS) or any(f"/{part}" in path for part in _PARTS)


def _write(folder: Path, entries: Sequence[TreeEntry], contents: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for one in entries:
        write_bytes(folder, one.path, contents.get(one.blob, b""))
        (folder / one.path).chmod(0o755 if one.mode == "100755" else 0o644)


async def _tell(means: Means, session: ImproveSession, refused: Sequence[Quarantined], brought: Path) -> None:
    if not refused:
        return
    async with means.database.transaction(means.actor) as uow:
        if _TOLD in (await get_session(uow, session.id)).metadata:
            return
        for one in refused:
            source = one.source.removeprefix(f"{brought}/")
            name = PurePosixPath(source).stem
            uow.record(session.id, AgentQuarantined(name, source, one.reason))
        await note_facts(uow, session.id, **{_TOLD: str(len(refused))})
