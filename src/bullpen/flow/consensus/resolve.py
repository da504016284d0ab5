"""Resolving a conflict: by rule where one decides, else by evidence, else by a judge, else by a person.

Each step answers or passes on; every resolution says which step it was and why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bullpen.flow.consensus.conflicts import Conflict, ConflictKind, Side


class ResolvedBy(StrEnum):
    """Which step decided."""

    RULE = "rule"
    EVIDENCE = "evidence"
    JUDGE = "judge"
    PERSON = "person"


class Outcome(StrEnum):
    """What happens to the sides that do not go first."""

    REDO = "redo"  # done again upon what the winner leaves
    DROP = "drop"  # not needed any more
    WAIT = "wait"  # later
    ASK = "ask"  # a person is asked; nobody goes on before


@dataclass(frozen=True, slots=True)
class Trial:
    """What the tests said of one side's result alone: how many pass, and how many that passed before fail."""

    passed: int
    broken: int
    wanted_shown: bool = True  # what the task was to reach is shown by a test


@dataclass(frozen=True, slots=True)
class Opinion:
    """A judge's or a person's choice of a task, with the reason. Empty: it could not tell."""

    by: str
    task: str
    reason: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is known when a conflict is resolved. ``tests`` by task; ``judges`` in the order in which they are asked."""

    tests: Mapping[str, Trial] = field(default_factory=dict[str, Trial])
    judges: tuple[Opinion, ...] = ()
    person: Opinion | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a conflict was resolved. ``winners`` and ``others`` are tasks; both are to be stored, with the reason."""

    conflict: Conflict
    by: ResolvedBy
    winners: tuple[str, ...]
    others: tuple[str, ...]
    outcome: Outcome
    reason: str


NOTHING_KNOWN = Known()


def resolve(conflict: Conflict, known: Known = NOTHING_KNOWN) -> Resolution:
    """The resolution of a conflict from what is known now; asks a person where nothing decides.

    A person's word is final. Judges that took part in the work are not heard. The same knowledge gives the same answer.
    """
    return (
        _by_person(conflict, known.person)
        or _by_rule(conflict)
        or _by_evidence(conflict, known.tests)
        or _by_judge(conflict, known.judges)
        or _ask(conflict)
    )


def _by_person(conflict: Conflict, person: Opinion | None) -> Resolution | None:
    if person is None or person.task not in {side.task for side in conflict.sides}:
        return None
    return _won(conflict, ResolvedBy.PERSON, person.task, f"{person.by} decided: {person.reason}")


def _by_rule(conflict: Conflict) -> Resolution | None:
    """Contention and duplicates always; edits and contradictions where something landed or one is more urgent."""
    if conflict.kind is ConflictKind.CONTENTION:
        return _shared_out(conflict)
    ranked = sorted(conflict.sides, key=_precedence)
    first, second = ranked[0], ranked[1] if len(ranked) > 1 else ranked[0]
    if first.landed and not second.landed:
        return _won(conflict, ResolvedBy.RULE, first.task, f"{first.task} has landed already")
    if conflict.kind is ConflictKind.DUPLICATE:
        return _won(conflict, ResolvedBy.RULE, first.task, f"the work is the same, and {first.task} is ahead")
    if conflict.kind is ConflictKind.EDIT and first.priority > second.priority:
        return _won(conflict, ResolvedBy.RULE, first.task, f"{first.task} has the higher priority")
    return None


def _by_evidence(conflict: Conflict, tests: Mapping[str, Trial]) -> Resolution | None:
    """The one side whose result breaks nothing and shows what was wanted; tests of every side must be known."""
    names = dict.fromkeys(side.task for side in conflict.sides)
    if not all(name in tests for name in names):
        return None
    whole = [name for name in names if not tests[name].broken and tests[name].wanted_shown]
    if len(whole) == 1:
        others = ", ".join(f"{name} breaks {tests[name].broken}" for name in names if name != whole[0])
        why = f"tests decide: {whole[0]} breaks none and shows what was wanted, {others}"
        return _won(conflict, ResolvedBy.EVIDENCE, whole[0], why)
    return None


def _by_judge(conflict: Conflict, judges: Iterable[Opinion]) -> Resolution | None:
    took_part = {side.agent for side in conflict.sides}
    names = {side.task for side in conflict.sides}
    for opinion in judges:
        if opinion.by not in took_part and opinion.task in names:
            return _won(conflict, ResolvedBy.JUDGE, opinion.task, f"{opinion.by} ruled: {opinion.reason}")
    return None


def _ask(conflict: Conflict) -> Resolution:
    names = tuple(dict.fromkeys(side.task for side in conflict.sides))
    why = (
        f"neither rule nor tests nor a judge decides between {' and '.join(names)} over {conflict.subject!r}"
    )
    return Resolution(conflict, ResolvedBy.PERSON, (), names, Outcome.ASK, f"A person is asked: {why}.")


def _won(conflict: Conflict, by: ResolvedBy, winner: str, why: str) -> Resolution:
    others = tuple(dict.fromkeys(side.task for side in conflict.sides if side.task != winner))
    outcome = Outcome.REDO if conflict.kind is ConflictKind.EDIT else Outcome.DROP
    then = "the other is done again upon it" if outcome is Outcome.REDO else "the other is dropped"
    reason = f"{conflict.kind.value} over {conflict.subject!r}: {why}; {then}."
    return Resolution(conflict, by, (winner,), others, outcome, reason)


def _shared_out(conflict: Conflict) -> Resolution:
    """In the order of precedence, whoever still fits."""
    left = conflict.available
    served: list[str] = []
    for side in sorted(conflict.sides, key=_precedence):
        if side.share <= left:
            left -= side.share
            served.append(side.task)
    waiting = tuple(side.task for side in conflict.sides if side.task not in served)
    why = f"{conflict.available} of {conflict.subject!r}: {', '.join(served) or 'nobody'} first, by priority and time"
    return Resolution(
        conflict, ResolvedBy.RULE, tuple(served), waiting, Outcome.WAIT, f"{why}; the others wait."
    )


def _precedence(side: Side) -> tuple[bool, int, float, str]:
    return not side.landed, -side.priority, side.at, side.task
