"""What a run of pipelines keeps while it goes on, so that one that was interrupted can be resumed."""

import hashlib
import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from bullpen.domain.errors import Conflict, NotFound
from bullpen.domain.events.pipelines import PipelineJobEnded
from bullpen.domain.ids import SessionId
from bullpen.domain.session import Session
from bullpen.flow.pipelines.model import JobRun
from bullpen.kernel.bus.log import replay
from bullpen.kernel.json_text import dump, load
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.queries import find_session, list_sessions
from bullpen.vcs.git import git
from bullpen.vcs.mirror import Mirror

KIND = "pipeline"
JOB_RUN: TypeAdapter[JobRun] = TypeAdapter(JobRun)
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Kept:
    """Results of one run's jobs, a file each: a file that is there is whole. ``told`` are jobs whose end is in the log."""

    folder: Path
    told: frozenset[str] = frozenset()

    def recall(self, where: str, label: str) -> JobRun | None:
        """The result a job came to before the run was interrupted; one that cannot be read is as good as none."""
        try:
            return load(JOB_RUN, self._file(where, label).read_bytes())
        except (OSError, ValueError):
            return None

    def keep(self, ended: JobRun) -> None:
        """Keep a result, also if the machine stops a moment later."""
        file = self._file(ended.where, ended.label)
        draft = file.with_name(f"{secrets.token_hex(8)}.draft")
        with draft.open("w", encoding="utf-8") as stream:
            stream.write(dump(JOB_RUN, ended))
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)

    def _file(self, where: str, label: str) -> Path:
        name = hashlib.sha256(f"{where}\0{label}".encode("utf-8", "surrogateescape")).hexdigest()
        return self.folder / f"{name[:40]}.json"


async def ended_jobs(uow: UnitOfWork, session_id: SessionId) -> frozenset[str]:
    """The jobs whose end is in the log."""
    found, after = set[str](), 0
    while events := await replay(uow, session_id, after, _PAGE):
        found.update(one.event.job for one in events if isinstance(one.event, PipelineJobEnded))
        after = events[-1].position
    return frozenset(found)


async def interrupted_run(uow: UnitOfWork, project: str, session_id: str = "") -> Session:
    """The run of a name, or the newest of a project, that has not come to its end.

    Raises:
        NotFound: there is none.
        Conflict: it has ended.
    """
    if session_id:
        named = await find_session(uow, session_id)
        if named is None or named.kind != KIND:
            raise NotFound(f"There is no run of pipelines {session_id}.", remedy="See `bullpen sessions`.")
        if named.stage.is_final:
            raise Conflict(f"{session_id} has ended.", remedy="Run the pipelines anew, without --resume.")
        return named
    known = await list_sessions(uow, project=project, kind=KIND)
    found = next((one for one in known if not one.stage.is_final), None)
    if found is None:
        raise NotFound(f"No run of {project} was interrupted.", remedy="Run it without --resume.")
    return found


async def at_commit(mirror: Mirror, commit: str) -> Mirror:
    """The mirror at the commit a run began with.

    Raises:
        Conflict: the commit is not there any more.
    """
    known = await git(mirror.path, "cat-file", "-e", f"{commit}^{{commit}}", accept=(0, 1, 128))
    if known.status:
        words = f"The commit {commit[:12]} the run began with is gone."
        raise Conflict(words, remedy="Run the pipelines anew, without --resume.")
    return replace(mirror, base=commit)
