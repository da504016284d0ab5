"""Running the team of a folder: its pattern, its agents, a session, and a copy of its files in Bullpen's home."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bullpen.agents.discovery import Source
from bullpen.agents.opening import Places, open_fleet
from bullpen.agents.registry import load_roster
from bullpen.domain.actor import Actor
from bullpen.domain.errors import Conflict
from bullpen.domain.ids import SessionId
from bullpen.domain.task import TaskState
from bullpen.flow.patterns.base import PATTERNS, Brief
from bullpen.flow.teams.base import Member, Progress, TeamReport
from bullpen.flow.teams.desk import Desk
from bullpen.flow.teams.folder import TeamFolder
from bullpen.flow.teams.joining import aside, joining
from bullpen.flow.teams.members import Bench, fleet_members, role_members
from bullpen.flow.teams.run import run_team
from bullpen.flow.teams.state import OnProgress, TeamMeans
from bullpen.kernel.bus.backends.base import Backend
from bullpen.kernel.storage.database import Database
from bullpen.models.registry import Models
from bullpen.sandbox.base import Sandbox
from bullpen.sessions.actions import create_session
from bullpen.sessions.queries import find_session, list_sessions
from bullpen.tools.workspace import read_bytes, walk, write_bytes

KIND = "team"


@dataclass(frozen=True, slots=True)
class TeamPlace:
    """What a team of a folder runs with. ``home`` is Bullpen's, ``agents`` the folder of those of the house.

    Without a ``bus`` letters wait in the database.
    """

    database: Database
    actor: Actor
    sandbox: Sandbox
    models: Models
    home: Path
    on_progress: OnProgress
    bus: Backend | None = None
    agents: Path | None = None


async def run_folder(place: TeamPlace, team: TeamFolder, session_id: SessionId) -> TeamReport:
    """Run a team, or go on with it where the session was begun before. Its files are in ``files_of``.

    Agents that appear in its folder meanwhile take part; faulty ones are set aside, and told of.

    Raises:
        InvalidInput: the pattern's options do not fit.
        NotFound: there is no such pattern.
        Conflict: the session is one of another kind or folder, or has ended.
    """
    pattern = PATTERNS.load(team.pattern)
    files = files_of(place.home, session_id)
    scratch = files.parent / "attempts"
    bench = Bench(place.database, place.actor, place.sandbox, Desk(files, scratch))
    async with (
        open_fleet(place.database, place.actor, _places(place, team)) as found,
        joining(found, bench, _folders(place, team)) as joined,
    ):
        for one in found.fleet.quarantined:
            place.on_progress(Progress(aside(one), 0, 0, 0, 0.0))
        members = [*fleet_members(found.fleet, bench), *_roles(place, team, bench)]
        able = {one.id: frozenset(one.capabilities) for one in members}
        course = pattern(Brief(team.goal, able, team.options))
        await _open(place, team, session_id)
        _prepare(team.workspace, files, scratch)
        means = TeamMeans(
            place.database, place.actor, place.on_progress, newcomers=joined.newcomers, bus=place.bus
        )
        return await run_team(means, session_id, course, members, team.policy)


def files_of(home: Path, session_id: SessionId) -> Path:
    """Where the files of a team's session are, as its agents left them."""
    return home / "sessions" / session_id / "work"


async def unfinished(place: TeamPlace, folder: Path) -> SessionId | None:
    """The newest session of the folder that has not ended."""
    async with place.database.view(place.actor) as uow:
        known = await list_sessions(uow, project=str(folder), kind=KIND)
    return next((one.id for one in known if not one.stage.is_final), None)


def succeeded(report: TeamReport) -> bool:
    """Whether the goal was reached."""
    return report.state is TaskState.DONE


async def _open(place: TeamPlace, team: TeamFolder, session_id: SessionId) -> None:
    project = str(team.folder)
    async with place.database.transaction(place.actor) as uow:
        known = await find_session(uow, session_id)
        if known is None:
            goal = {"goal": team.goal, "project": project, "options": "{}"}
            await create_session(uow, session_id, kind=KIND, **goal)
        elif (known.kind, known.project) != (KIND, project):
            raise Conflict(f"The session {session_id} is not one of {project}.")
        elif known.stage.is_final:
            raise Conflict(
                f"The session {session_id} has ended.", remedy="Run the team anew, without --resume."
            )


def _prepare(source: Path, files: Path, scratch: Path) -> None:
    """The team's own copy of the files, made once; attempts a killed process left behind go."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    if files.is_dir():
        return
    partial = files.with_name("work.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for path in walk(source) if source.is_dir() else ():
        write_bytes(partial, path, read_bytes(source, path))
        (partial / path).chmod((source / path).stat().st_mode & 0o777)
    partial.rename(files)


def _places(place: TeamPlace, team: TeamFolder) -> Places:
    """The team's own agents, which are not trusted; those of the house where the team asks for them."""
    own = Source(team.agents, trusted=False)
    if not team.fleet:
        return Places((own,), plugins=False, registered=False)
    return Places((own, Source(_house(place))))


def _house(place: TeamPlace) -> Path:
    return place.agents or place.home / "agents"


def _folders(place: TeamPlace, team: TeamFolder) -> list[Path]:
    return [team.agents, *([_house(place)] if team.fleet else [])]


def _roles(place: TeamPlace, team: TeamFolder, bench: Bench) -> Sequence[Member]:
    return role_members(load_roster(), place.models, team.roles, bench) if team.roles else ()
