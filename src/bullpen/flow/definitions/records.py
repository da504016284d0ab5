"""What a run of a workflow keeps: the texts it runs by, the results of its steps, and what it waits for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter

from bullpen.domain.ids import SessionId, derived_id
from bullpen.domain.session import Session
from bullpen.flow.definitions.base import StepResult, StepState, Wait
from bullpen.flow.definitions.check import read_definition
from bullpen.flow.definitions.model import Definition, Plain, Source
from bullpen.kernel.json_text import dump, load
from bullpen.kernel.storage.unit_of_work import UnitOfWork
from bullpen.sessions.actions import create_session, note_facts
from bullpen.sessions.queries import find_session, get_session

KIND = "workflow"
_RESULT = "result:"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked when a run began. ``texts`` are its workflow and those it starts: an edit later changes nothing.

    ``root`` is the session whose checkout is used, empty for that of the run itself.
    """

    name: str
    source: str
    texts: Mapping[str, Source]
    params: Mapping[str, Plain] = field(default_factory=dict[str, Plain])
    root: str = ""

    @property
    def definition(self) -> Definition:
        """The workflow that runs."""
        return read_definition(self.texts[self.name])

    def values(self) -> dict[str, Plain]:
        """Params with those that were given in the place of defaults."""
        return {**self.definition.params, **self.params}


@dataclass(frozen=True, slots=True)
class State:
    """How far a run has come. ``round`` grows when work is sent back; ``sent`` counts that by step.

    ``undone`` are steps that were taken back, in that order.
    """

    results: Mapping[str, StepResult] = field(default_factory=dict[str, StepResult])
    round: int = 1
    missing: str = ""
    sent: Mapping[str, int] = field(default_factory=dict[str, int])
    undone: tuple[str, ...] = ()

    def with_results(self, fresh: Mapping[str, StepResult]) -> "State":
        """Further results, numbered in the order of ending."""
        number = max((one.order for one in self.results.values()), default=0) + 1
        numbered = {name: replace(one, order=number) for name, one in fresh.items()}
        return replace(self, results={**self.results, **numbered})

    def failed(self) -> tuple[str, ...]:
        """Steps that failed."""
        return tuple(name for name, one in self.results.items() if one.state is StepState.FAILED)

    def waits(self) -> tuple[Wait, ...]:
        """What is waited for."""
        return tuple(
            wait for one in self.results.values() if one.state is StepState.WAITING for wait in one.waits
        )

    def to_go_on(self, definition: Definition) -> "State":
        """For the next run: what waited, failed, was skipped or taken back is open again, with all that comes after."""
        reopened = {name for name, one in self.results.items() if self._is_open(name, one)}
        behind = frozenset[str]().union(*(definition.from_on(name) for name in reopened))
        kept = {name: one for name, one in self.results.items() if name not in behind}
        return replace(self, results=kept, undone=())

    def _is_open(self, name: str, one: StepResult) -> bool:
        skipped_for_failure = one.state is StepState.SKIPPED and bool(self.failed())
        return (
            one.state in (StepState.WAITING, StepState.FAILED) or skipped_for_failure or name in self.undone
        )


ASKED: TypeAdapter[Asked] = TypeAdapter(Asked)
STATE: TypeAdapter[State] = TypeAdapter(State)
RESULT: TypeAdapter[StepResult] = TypeAdapter(StepResult)
WAITS: TypeAdapter[tuple[Wait, ...]] = TypeAdapter(tuple[Wait, ...])


def child_id(parent: SessionId, key: str) -> SessionId:
    """The session of a child workflow: the same for every try of its step."""
    return SessionId(derived_id("ses", parent, key))


async def create_run(uow: UnitOfWork, asked: Asked, *, session_id: SessionId, parent: str = "") -> Session:
    """The session of a run; asking again for one that is there changes nothing."""
    known = await find_session(uow, session_id)
    if known is not None:
        return known
    goal = asked.definition.title or f"run the workflow {asked.name}"
    options = dump(ASKED, asked)
    return await create_session(
        uow, session_id, kind=KIND, goal=goal, project=asked.source, options=options, parent=parent
    )


async def asked_of(uow: UnitOfWork, session_id: SessionId) -> Asked:
    """What a run was asked."""
    return load(ASKED, (await get_session(uow, session_id)).options)


def state_of(session: Session) -> State:
    """How far a run had come when it was last stored."""
    stored = session.metadata.get("state")
    state = load(STATE, stored) if stored else State()
    kept = {
        name.removeprefix(_RESULT): load(RESULT, text)
        for name, text in session.metadata.items()
        if name.startswith(_RESULT) and text
    }
    return replace(state, results=dict(sorted(kept.items(), key=lambda one: (one[1].order, one[0]))))


def waits_of(session: Session) -> Sequence[Wait]:
    """What an ended run waits for."""
    return load(WAITS, session.metadata.get("waits", "[]"))


async def keep_state(uow: UnitOfWork, session_id: SessionId, state: State) -> None:
    """Store how far it is: each result as a fact of its own, so that only what is new is written to the log."""
    known = (await get_session(uow, session_id)).metadata
    gone = {name: "" for name in known if name.startswith(_RESULT)}
    fresh = {f"{_RESULT}{name}": dump(RESULT, one) for name, one in state.results.items()}
    rest = dump(STATE, replace(state, results={}))
    await note_facts(uow, session_id, state=rest, **{**gone, **fresh})
