"""Gates, evidence and verdicts: why a change counts as done."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Ruling(StrEnum):
    """What a judge decides."""

    ACCEPT = "accept"
    REVISE = "revise"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class GateResult:
    """A named condition and how it came out. A gate that cannot be evaluated has failed."""

    name: str
    passed: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's decision. Scores are between 0 and 1 by aspect; ``must_change`` is empty on acceptance."""

    ruling: Ruling
    judge: str
    scores: Mapping[str, float]
    gates: tuple[GateResult, ...]
    must_change: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandEvidence:
    """A command that was run in the sandbox, and what it left."""

    argv: tuple[str, ...]
    exit_status: int | None
    ended: str
    seconds: float
    output_sha256: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What proves a change; ``bullpen verify`` runs it again.

    ``tree_before`` and ``tree_after`` are git tree hashes; tests are ids that passed.
    """

    item: str
    rule: str
    tree_before: str
    tree_after: str
    patch_sha256: str
    commands: tuple[CommandEvidence, ...]
    findings_gone: tuple[str, ...]
    findings_new: tuple[str, ...]
    tests_before: tuple[str, ...]
    tests_after: tuple[str, ...]
    verdict: Verdict | None = None
