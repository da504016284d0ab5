"""Contradictions as data: rules of which the findings at one place cannot both be followed."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from bullpen.analysis.base import Value
from bullpen.domain.errors import InvalidInput
from bullpen.domain.finding import Finding
from bullpen.kernel.yaml_text import read_yaml


class Extent(StrEnum):
    """How much code a finding speaks of."""

    PLACE = "place"  # the lines it marks
    STATEMENT = "statement"  # the statement or handler it is in, as a whole; for a handler its try
    HANDLER = "handler"  # the handler that begins there; else the lines it marks
    REST = "rest"  # from there to the end of the block
    EARLIER = "earlier"  # the definition that begins on the line its message names
    SYMBOL = "symbol"  # the function or class it is in


class EvidenceKind(StrEnum):
    """What can be known of code without asking anybody."""

    RUN_BY_A_TEST = "run-by-a-test"
    USED_ELSEWHERE = "used-elsewhere"
    AFTER_A_JUMP = "after-a-jump"


class SideCard(BaseModel):
    """One side: what it wants, by which rules' findings it is held, and which values it serves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wants: str
    rules: tuple[str, ...]
    unless: tuple[str, ...] = ()
    serves: tuple[Value, ...]
    extent: Extent = Extent.PLACE

    def holds(self, finding: Finding) -> bool:
        """Whether a finding is on this side."""
        named = any(fnmatchcase(finding.rule, one) for one in self.rules)
        return named and not any(fnmatchcase(finding.rule, one) for one in self.unless)


def _two(sides: dict[str, SideCard]) -> dict[str, SideCard]:
    if len(sides) != 2:
        raise ValueError("a contradiction has two sides")
    return sides


class _Card(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str
    sides: Annotated[dict[str, SideCard], AfterValidator(_two)]
    same_name: bool = False
    in_tests: bool = False
    evidence: dict[EvidenceKind, str] = {}


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two sides that cannot both be followed at one place. With ``same_name`` both must speak of one name.

    With ``in_tests`` it is one in tests only.
    ``evidence`` says for which side each kind of evidence speaks.
    """

    name: str
    question: str
    sides: Mapping[str, SideCard]
    same_name: bool
    in_tests: bool
    evidence: Mapping[EvidenceKind, str]

    def other(self, side: str) -> str:
        """The side across."""
        return next(one for one in self.sides if one != side)


def load_contradictions(folder: Path | None = None) -> tuple[Contradiction, ...]:
    """All contradictions by name; those that come with this package unless another folder is given.

    Raises:
        InvalidInput: a file cannot be read; the sentence names it and the entry.
    """
    return _own() if folder is None else _read_folder(folder)


@cache
def _own() -> tuple[Contradiction, ...]:
    return _read_folder(Path(str(files("bullpen.flow.disagreements.contradictions"))))


def _read_folder(folder: Path) -> tuple[Contradiction, ...]:
    return tuple(_read(one.stem, one.read_text("utf-8")) for one in sorted(folder.glob("*.yaml")))


def _read(name: str, text: str) -> Contradiction:
    try:
        card = _Card.model_validate(read_yaml(text))
    except yaml.YAMLError as error:
        raise _wrong(name, f"it is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise _wrong(name, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    strange = sorted(set(card.evidence.values()) - set(card.sides))
    if strange:
        raise _wrong(name, f"its evidence speaks for {strange[0]!r}, which is none of its sides")
    return Contradiction(name, card.question, card.sides, card.same_name, card.in_tests, card.evidence)


def _wrong(name: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"The contradiction {name} cannot be used: {why}.",
        remedy="Compare it with those that come with Bullpen.",
    )
