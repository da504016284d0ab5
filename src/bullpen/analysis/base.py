"""What an analyser is given and what it must offer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from bullpen.domain.errors import Unavailable
from bullpen.domain.finding import Observation
from bullpen.domain.test_report import Coverage
from bullpen.sandbox.base import Sandbox


@dataclass(frozen=True, slots=True)
class SourceTree:
    """A checked-out commit to look at.

    ``files`` maps the path of every tracked regular file (no symlinks, no submodules, no LFS pointers, no file above
    the size limit) to its git blob hash. Paths use ``/`` and are relative to ``root``.

    What else may be known of it, each empty or None where nobody measured it: ``churn`` counts the commits of each path
    within a year, ``durations`` are the seconds a test took by its id, ``advisories`` is a folder of the person with
    OSV records.
    """

    root: Path
    files: Mapping[str, str]
    coverage: Coverage | None = None
    churn: Mapping[str, int] = field(default_factory=dict[str, int])
    durations: Mapping[str, float] = field(default_factory=dict[str, float])
    advisories: Path | None = None

    def text(self, path: str) -> str:
        """Its content; bytes that are not UTF-8 become surrogates, so writing it back is exact."""
        return (self.root / path).read_bytes().decode("utf-8", "surrogateescape")


class AnalyserFailed(Unavailable):
    """An analyser's tool did not finish; the roast goes on without it and says so."""

    code = "analyser-failed"


class Reach(StrEnum):
    """How far an observation depends on what surrounds it; decides what may be cached."""

    FILE = "file"  # on the content of its file alone: cached by content hash
    TREE = "tree"  # on the whole tree: cached by the hash of all files it wants
    KNOWN = (
        "known"  # on the whole tree and on what else is known of it: coverage, churn, durations, advisories
    )


class Analyser(Protocol):
    """Looks at files and says what it saw. Runs its tool in the sandbox, read-only, without network."""

    name: str
    reach: Reach

    def version(self) -> str:
        """Of the tool and of its rules: part of the cache key."""
        ...

    def wants(self, path: str) -> bool:
        """Whether this file is of interest, by its name alone."""
        ...

    async def analyse(self, tree: SourceTree, paths: Sequence[str], sandbox: Sandbox) -> list[Observation]:
        """Look at ``paths`` (all wanted, all in the tree).

        Raises:
            AnalyserFailed: the tool did not finish; the message quotes what it said.
        """
        ...


@dataclass(frozen=True, slots=True)
class AnalyserRun:
    """How one analyser fared in a roast."""

    analyser: str
    files: int
    cached: int
    observations: int
    seconds: float
    failure: str = ""


class Value(StrEnum):
    """What a persona may care for most, and what following a finding may serve."""

    SAFETY = "safety"  # nobody can misuse it
    CORRECTNESS = "correctness"  # it does what it says
    RELIABILITY = "reliability"  # it goes on when something else fails
    PROOF = "proof"  # a test tells when it breaks
    SPEED = "speed"
    STRUCTURE = "structure"
    SIMPLICITY = "simplicity"  # there is less of it
    CLARITY = "clarity"  # a reader sees what it does


@dataclass(frozen=True, slots=True)
class Persona:
    """A point of view: which analysers it listens to, which rules it cares for, and how it speaks.

    ``values`` are what it cares for, most first: they decide where findings of different personas are at odds.
    """

    name: str
    title: str
    concern: str
    analysers: tuple[str, ...]
    voice: Mapping[str, str] = field(default_factory=dict[str, str])
    instructions: str = ""
    values: tuple[Value, ...] = ()
