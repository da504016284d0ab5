"""What a language must offer, so that faults can be put into its lines to see whether a test notices."""

from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Protocol

from bullpen.codegraph.mutants import Mutant
from bullpen.kernel.extend import ExtensionPoint


class Faults(Protocol):
    """Faults of one language. ``suffixes`` are the endings of its files, with the dot."""

    suffixes: tuple[str, ...]

    def put(self, source: str, suffix: str, lines: Collection[int], most: int) -> tuple[Mutant, ...] | None:
        """Whole files with one fault each, at most ``most``, spread over the lines (from 1); all else stays as it is.

        Empty where the lines hold nothing that runs; None where the file cannot be read, so nothing is known of it.
        """
        ...

    def around(self, source: str, suffix: str, line: int) -> range:
        """The lines of the innermost function or class around a line, or the line itself."""
        ...


FAULTS: ExtensionPoint[Faults] = ExtensionPoint("bullpen.codegraph.faults", "faults")


def faults_of(path: str) -> Faults | None:
    """The faults of the language a file is written in; None where there are none for it."""
    ending = suffix_of(path)
    return next((one for one in FAULTS.load_all().values() if ending in one.suffixes), None)


def suffix_of(path: str) -> str:
    """The ending of a file, with the dot, in small letters."""
    return PurePosixPath(path).suffix.lower()
