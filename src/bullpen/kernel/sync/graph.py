"""Who waits for whom, and who must be refused so that the others can go on. Pure.

The model is that of Knapp ("Deadlock detection in distributed databases", ACM Computing Surveys 19, 1987): whoever
waits for a semaphore goes on when any of its holders lets go (OR); whoever waits at a barrier, when all who are missing
have come (AND).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wait:
    """``waiter`` waits for ``on``: for one of them, or for ``every`` one. Nobody to wait for: it can go on."""

    waiter: str
    on: frozenset[str]
    every: bool = False


def stuck(waits: Sequence[Wait]) -> frozenset[str]:
    """Those who wait for ever, unless somebody is refused: themselves on a circle, or behind one.

    Whoever does not wait is taken to go on and to let go some day. Found by letting go of all who can, again and again.
    """
    still = {one.waiter for one in waits}
    while freed := still - {one.waiter for one in waits if one.waiter in still and not _goes_on(one, still)}:
        still -= freed
    return frozenset(still)


def victims(waits: Sequence[Wait], since: Mapping[str, float]) -> tuple[str, ...]:
    """Whom to refuse, in order, so that nobody is stuck: each time the youngest of those on a circle.

    ``since`` says from when on each takes part; of two as young as each other, the later name is refused.
    """
    left = list(waits)
    chosen: list[str] = []
    while held := stuck(left):
        youngest = max(_on_a_circle(left, held), key=lambda name: (since.get(name, 0.0), name))
        chosen.append(youngest)
        left = [one for one in left if one.waiter != youngest]
    return tuple(chosen)


def _goes_on(wait: Wait, still: set[str]) -> bool:
    if not wait.on:
        return True
    return not wait.on & still if wait.every else bool(wait.on - still)


def _on_a_circle(waits: Iterable[Wait], held: frozenset[str]) -> list[str]:
    """Those who wait for themselves, through others that are stuck; where anybody is stuck there are some."""
    edges: dict[str, set[str]] = {}
    for one in waits:
        if one.waiter in held:
            edges.setdefault(one.waiter, set()).update(one.on & held)
    return [name for name in sorted(held) if name in _reached(name, edges)]


def _reached(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    ahead = list(edges.get(start, ()))
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead.extend(edges.get(name, ()))
    return found
