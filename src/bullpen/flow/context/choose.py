"""Choose what goes into a window under a budget of tokens; each piece, taken or not, has its reason. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bullpen.flow.context.tokens import Estimate, estimate_tokens


class Kind(StrEnum):
    """What a piece is; pieces stand in the window in this order."""

    GOAL = "goal"
    PINNED = "pinned"
    MEMORY = "memory"
    CODE = "code"
    TURN = "turn"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A piece that could go in. ``priority``: the higher, the sooner it is taken; ``source`` names where it is from."""

    kind: Kind
    text: str
    why: str
    priority: float = 0.0
    source: str = ""

    @property
    def stays(self) -> bool:
        """Whether it goes in whatever it takes."""
        return self.kind in (Kind.GOAL, Kind.PINNED)


@dataclass(frozen=True, slots=True)
class Piece:
    """A candidate, what it takes, and why it was taken or left."""

    candidate: Candidate
    tokens: int
    reason: str


@dataclass(frozen=True, slots=True)
class Window:
    """What was chosen, in the order of the window, and what was left. ``tokens`` of all that was chosen."""

    chosen: tuple[Piece, ...]
    left: tuple[Piece, ...]
    tokens: int
    budget: int

    @property
    def is_over(self) -> bool:
        """Whether what must stay is more than the budget."""
        return self.tokens > self.budget

    def text(self) -> str:
        """The chosen pieces, each after a blank line."""
        return "\n\n".join(piece.candidate.text for piece in self.chosen)


def choose(candidates: Iterable[Candidate], budget: int, estimate: Estimate = estimate_tokens) -> Window:
    """Goal and pinned pieces always; of the others those of the highest priority that fit, the smaller first of two alike.

    A text that is there already is not taken twice.
    """
    some = [(number, one, estimate(one.text)) for number, one in enumerate(candidates)]
    staying = sorted(some, key=lambda it: (not it[1].stays, -it[1].priority, it[2], it[0]))
    chosen: list[tuple[int, Piece]] = []
    left: list[Piece] = []
    seen: set[str] = set()
    used = 0
    for number, one, tokens in staying:
        refusal = _refusal(one, tokens, budget - used, seen)
        if refusal:
            left.append(Piece(one, tokens, refusal))
            continue
        seen.add(one.text)
        used += tokens
        chosen.append((number, Piece(one, tokens, one.why)))
    return Window(_in_order(chosen), tuple(left), used, budget)


def _refusal(one: Candidate, tokens: int, free: int, seen: set[str]) -> str:
    """Why it stays out; empty if it goes in."""
    if one.text in seen:
        return "the same words are there already"
    if one.stays or tokens <= free:
        return ""
    return f"takes {tokens} tokens, {max(0, free)} are free"


def _in_order(chosen: Sequence[tuple[int, Piece]]) -> tuple[Piece, ...]:
    places = {kind: place for place, kind in enumerate(Kind)}
    ordered = sorted(chosen, key=lambda it: (places[it[1].candidate.kind], it[0]))
    return tuple(piece for _, piece in ordered)
