"""A weakening of what judges a change."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Breach:
    """A weakening. ``line`` is in the new file, or in the old one where the line is gone."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True, slots=True)
class Sign:
    """Something noteworthy in a file: its normal text, and where it is."""

    text: str
    line: int


def added(before: Iterable[Sign], after: Iterable[Sign]) -> Iterator[Sign]:
    """Signs of the new file beyond those of the old one; moving one adds nothing."""
    known = Counter(sign.text for sign in before)
    for sign in after:
        if known[sign.text] > 0:
            known[sign.text] -= 1
        else:
            yield sign


def first_difference(before: str, after: str) -> int:
    """The first line that is not the same."""
    old, new = before.splitlines(), after.splitlines()
    pairs = enumerate(zip(old, new, strict=False), start=1)
    return next((number for number, (a, b) in pairs if a != b), min(len(old), len(new)) + 1)
