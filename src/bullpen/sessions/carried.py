"""What one session of a project tells the next: decisions, conventions and facts, each under a key. Pure.

Two that say different things under one key contradict each other: the newer is kept, with a note of what it replaced.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from bullpen.domain.errors import InvalidInput
from bullpen.domain.events.improve import EnvironmentPrepared, RepositoryOpened
from bullpen.domain.events.work import ApprovalAnswered, ApprovalAsked, ItemMoved, ItemProposed
from bullpen.domain.ids import SessionId
from bullpen.domain.work_item import ItemState
from bullpen.kernel.bus.log import Recorded

MOST_CHARACTERS = 2000
_KEY = re.compile(r"[^\s\x00-\x1f](?:[^\x00-\x1f]{0,298}[^\s\x00-\x1f])?")


class FactKind(StrEnum):
    """What is carried."""

    DECISION = "decision"
    CONVENTION = "convention"
    FACT = "fact"


Key = tuple[FactKind, str]


@dataclass(frozen=True, slots=True)
class CarriedFact:
    """One thing later sessions are told, and where it is from. ``note`` says what it replaced."""

    kind: FactKind
    key: str
    text: str
    session: SessionId
    by: str
    at: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Merged:
    """All that holds now, and of what was new: what changed it, and what an equal or newer one spoke against."""

    facts: Mapping[Key, CarriedFact]
    changed: tuple[tuple[CarriedFact, CarriedFact | None], ...]  # the new one, and the one it replaced
    outdated: tuple[CarriedFact, ...]


def checked(fact: CarriedFact) -> CarriedFact:
    """The same fact.

    Raises:
        InvalidInput: its key or its words cannot be kept.
    """
    if not _KEY.fullmatch(fact.key):
        raise InvalidInput("A key has 1 to 300 characters in one line, and begins and ends with no space.")
    if not 0 < len(fact.text.strip()) <= MOST_CHARACTERS:
        raise InvalidInput(f"What is carried has 1 to {MOST_CHARACTERS} characters.")
    return fact


def merge(known: Iterable[CarriedFact], new: Iterable[CarriedFact]) -> Merged:
    """Put facts together; in whatever order they come, the same words hold in the end."""
    facts: dict[Key, CarriedFact] = {(one.kind, one.key): one for one in known}
    changed: list[tuple[CarriedFact, CarriedFact | None]] = []
    outdated: list[CarriedFact] = []
    for fact in new:
        key = (fact.kind, fact.key)
        before = facts.get(key)
        if before is not None and _same(before.text, fact.text):
            facts[key] = replace(max(before, fact, key=_age), note=before.note or fact.note)
        elif before is not None and _age(before) > _age(fact):
            outdated.append(fact)
        else:
            facts[key] = fact if before is None else replace(fact, note=_note(before))
            changed.append((facts[key], before))
    return Merged(facts, tuple(changed), tuple(outdated))


def _age(fact: CarriedFact) -> tuple[float, str, str]:
    return (fact.at, fact.session, fact.text)


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


def _note(before: CarriedFact) -> str:
    day = datetime.fromtimestamp(before.at, UTC).strftime("%Y-%m-%d")
    return f"replaces {before.text[:200]!r} of session {before.session} ({day})"


def learned_from(events: Sequence[Recorded]) -> list[CarriedFact]:
    """What a session's events say that later ones should know; each from its own event, by its author."""
    found: list[CarriedFact] = []
    asked: dict[str, str] = {}
    items: dict[str, ItemProposed] = {}
    for recorded in events:
        match recorded.event:
            case ItemProposed() as item:
                items[item.item_id] = item
            case ApprovalAsked() as asking:
                asked[asking.approval_id] = asking.subject
            case _:
                found += _learned(recorded, asked, items)
    return found


def _learned(
    recorded: Recorded, asked: Mapping[str, str], items: Mapping[str, ItemProposed]
) -> list[CarriedFact]:
    match recorded.event:
        case ApprovalAnswered(approval_id=name, answer=answer) if answer != "expired" and name in asked:
            return [_fact(recorded, FactKind.DECISION, f"approval: {asked[name]}", answer)]
        case ItemMoved(state=ItemState.REJECTED, reason=reason, by=by, item_id=name) if (
            reason and name in items and not by.startswith("agent:")
        ):
            item = items[name]
            return [
                _fact(recorded, FactKind.DECISION, f"item: {item.rule} in {item.path}", f"left: {reason}")
            ]
        case EnvironmentPrepared(origin=origin) if origin:
            return [_fact(recorded, FactKind.FACT, "tests: environment", origin)]
        case RepositoryOpened(branch=branch) if branch:
            return [_fact(recorded, FactKind.FACT, "repository: branch", branch)]
        case _:
            return []


def _fact(recorded: Recorded, kind: FactKind, key: str, text: str) -> CarriedFact:
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in key).split())[:300].strip()
    return CarriedFact(
        kind, line, text[:MOST_CHARACTERS], recorded.session_id, recorded.actor_id, recorded.at
    )
