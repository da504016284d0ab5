"""A session: one durable effort, and the states it goes through."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bullpen.domain.errors import Conflict
from bullpen.domain.ids import SessionId


class Stage(StrEnum):
    """Where a session's workflow stands."""

    INITIALIZE = "initialize"
    PLANNING = "planning"
    ANALYSIS = "analysis"
    DESIGN = "design"
    IMPLEMENTATION = "implementation"
    TESTING = "testing"
    VALIDATION = "validation"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in (Stage.DONE, Stage.FAILED, Stage.CANCELLED)


CANCELLED = "cancelled"  # the code of an error that ends work on a session that was cancelled
_ENDINGS = frozenset({Stage.FAILED, Stage.CANCELLED})

STAGES: Mapping[Stage, frozenset[Stage]] = {
    Stage.INITIALIZE: frozenset({Stage.PLANNING}) | _ENDINGS,
    Stage.PLANNING: frozenset({Stage.ANALYSIS}) | _ENDINGS,
    Stage.ANALYSIS: frozenset({Stage.DESIGN, Stage.DONE}) | _ENDINGS,  # done: nothing to improve
    Stage.DESIGN: frozenset({Stage.IMPLEMENTATION, Stage.DONE}) | _ENDINGS,  # done: a dry run
    Stage.IMPLEMENTATION: frozenset({Stage.TESTING, Stage.DONE}) | _ENDINGS,  # done: nothing could be mended
    Stage.TESTING: frozenset({Stage.VALIDATION}) | _ENDINGS,
    Stage.VALIDATION: frozenset({Stage.DONE, Stage.ANALYSIS}) | _ENDINGS,  # analysis: something is missing
    Stage.DONE: frozenset({Stage.INITIALIZE}),  # taken up again, when a person approved more
    Stage.FAILED: frozenset({Stage.INITIALIZE}),  # taken up again
    Stage.CANCELLED: frozenset(),
}


def require_stage(session: SessionId, now: Stage, then: Stage) -> None:
    """Refuse a step the workflow does not have."""
    if then not in STAGES[now]:
        allowed = ", ".join(sorted(STAGES[now])) or "nothing"
        raise Conflict(
            f"Session {session} is at {now.value}; from there it can go to {allowed}, not {then.value}."
        )


def was_passed(now: Stage, then: Stage) -> bool:
    """Whether ``then`` lies behind on the way to ``now``: a step that is done again after a crash asks for it again."""
    way = [stage for stage in Stage if stage not in _ENDINGS]
    return now in way and then in way and way.index(then) < way.index(now) and then not in STAGES[now]


@dataclass(frozen=True, slots=True)
class Session:
    """A stored session. ``options`` is what it was asked, as JSON text; ``paused`` holds before the next step."""

    id: SessionId
    kind: str
    goal: str
    project: str
    stage: Stage
    paused: bool
    options: str
    created_at: float
    updated_at: float
    parent: str = ""
    archived: bool = False
    tags: tuple[str, ...] = ()
    participants: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


def require_not_cancelled(session: Session) -> None:
    """Refuse to go on with a session that a person ended for good."""
    if session.stage is Stage.CANCELLED:
        raise Conflict(
            f"Session {session.id} was cancelled; it does not go on.",
            remedy="Begin a new one; it uses again what is known of the same files.",
            code=CANCELLED,
        )


@dataclass(frozen=True, slots=True)
class Share:
    """A link that lets its bearer read one session. ``revoked_at`` is 0 while it is not revoked."""

    id: str
    session_id: SessionId
    made_by: str
    made_at: float
    expires_at: float
    revoked_at: float = 0.0

    def opens_at(self, moment: float) -> bool:
        """Whether it opens the session at a moment."""
        return not self.revoked_at and moment < self.expires_at
