"""Let a team of agents work on a goal, as a folder of the repository describes it."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.domain.session import Stage
from bullpen.flow.automation.jobs.base import Errand, Job, Result
from bullpen.flow.definitions.model import Strict
from bullpen.flow.team_folder import TeamPlace, run_folder, succeeded
from bullpen.flow.teams.folder import read_team
from bullpen.sessions.queries import find_session
from bullpen.tools.workspace import write_bytes
from bullpen.vcs.mirror import fetch_mirror
from bullpen.vcs.source import open_source
from bullpen.vcs.trees import inner_path, list_tree, read_blobs

MOST_FILES = 20_000


class TeamInputs(Strict):
    """``folder`` of the repository, with ``team.yaml`` in it."""

    folder: Annotated[str, Field(min_length=1, max_length=500)]


async def _run(errand: Errand, given: TeamInputs) -> Result:
    async with errand.bench.means.database.view(errand.bench.means.actor) as uow:
        known = await find_session(uow, errand.session_id)
    if known is not None and known.stage.is_final:
        return Result("done" if known.stage is Stage.DONE else "failed", known.stage.value)
    folder = await _files(errand, inner_path(given.folder.rstrip("/")))
    means, models = errand.bench.means, errand.bench.crew.models
    house = means.settings.agent_folder
    place = TeamPlace(
        means.database,
        means.actor,
        means.sandbox,
        models,
        means.settings.home,
        lambda _progress: None,
        agents=house,
    )
    report = await run_folder(place, read_team(folder), errand.session_id)
    words = f"{len(report.done)} tasks done, {len(report.lost)} not"
    return Result("done" if succeeded(report) else "failed", words)


async def _files(errand: Errand, inner: str) -> Path:
    """The folder as it is committed, copied once; links are not followed, for they are not copied."""
    folder = errand.bench.means.folder(errand.session_id).path / "team"
    if folder.is_dir():
        return folder
    mirror = await fetch_mirror(await open_source(errand.repo), errand.bench.means.mirrors)
    tree = await list_tree(mirror.path, mirror.base)
    entries = [one for one in tree if one.is_file and one.path.startswith(f"{inner}/")]
    if not entries:
        raise NotFound(
            f"There is no folder {inner!r} in {errand.repo}.", remedy="Name one that is committed."
        )
    if len(entries) > MOST_FILES:
        raise InvalidInput(f"{inner!r} holds {len(entries):,} files; {MOST_FILES:,} is the most for a team.")
    contents = await read_blobs(mirror.path, (one.blob for one in entries))
    partial = folder.with_name("team.partial")
    partial.mkdir(parents=True, exist_ok=True)
    for one in entries:
        path = one.path.removeprefix(f"{inner}/")
        write_bytes(partial, path, contents[one.blob])
        (partial / path).chmod(0o755 if one.mode == "100755" else 0o644)
    return partial.rename(folder)


JOB = Job(TeamInputs, _run)
