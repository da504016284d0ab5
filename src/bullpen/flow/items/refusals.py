"""What was refused before: an item that failed is not tried again on the same code until somebody asks for it."""

import hashlib
from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from bullpen import __version__
from bullpen.domain.session import Session
from bullpen.domain.work_item import ItemDraft
from bullpen.kernel.json_text import dump, load

REFUSED: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])
LONGEST_REASON = 300


def refusal_key(draft: ItemDraft) -> str:
    """The same faults, for the same recipes: what the statement or the release changes makes another key."""
    parts = (__version__, draft.rule, draft.path, *draft.fingerprints)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:24]


def with_refusal(facts: Mapping[str, str], draft: ItemDraft, reason: str) -> str:
    """A session's refusals, as it keeps them, with one more."""
    known = load(REFUSED, facts.get("refused", "{}"))
    return dump(REFUSED, {**known, refusal_key(draft): reason[:LONGEST_REASON]})


def refused_before(sessions: Sequence[Session]) -> dict[str, str]:
    """Reasons by key, from the sessions of a project; the newest word holds."""
    reasons: dict[str, str] = {}
    for session in reversed(sessions):
        reasons |= load(REFUSED, session.metadata.get("refused", "{}"))
    return reasons
