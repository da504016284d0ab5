"""Role cards: Markdown with front matter, the convention coding assistants use for agent definitions.

    ---
    name: reviewer
    purpose: Reads a change and comments on its lines.
    tools: [review_diff, comment_line, give_verdict, finish]
    limits: {steps: 60, cost: "0.50"}
    ---
    Instructions, for a language model.

``description`` is taken for ``purpose``, and ``tools`` may be one line with commas, as such assistants write them.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any

import yaml
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bullpen.agents.base import RunLimits
from bullpen.domain.errors import InvalidInput
from bullpen.domain.money import Money
from bullpen.kernel.yaml_text import read_yaml

LONGEST_CARD = 64 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Card:
    """A role. ``model`` is an alias of the model registry, ``gates`` what must hold before its work counts as done."""

    name: str
    purpose: str
    instructions: str
    tools: tuple[str, ...]
    capabilities: tuple[str, ...] = ()
    model: str = "default"
    limits: RunLimits = field(default_factory=RunLimits)
    gates: tuple[str, ...] = ()
    source: str = ""


def _listed(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_:.-]{0,63}$")]
Words = Annotated[tuple[Word, ...], BeforeValidator(_listed)]


class _Limits(BaseModel):
    model_config = ConfigDict(extra="forbid")
    steps: int = Field(default=RunLimits().steps, ge=1, le=1000)
    seconds: float = Field(default=RunLimits().seconds, gt=0, le=86_400)
    attempts: int = Field(default=RunLimits().attempts, ge=1, le=10)
    cost: Decimal | None = Field(default=None, ge=0, le=10_000, decimal_places=6)


class _FrontMatter(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    purpose: Annotated[str, Field(min_length=8, validation_alias=AliasChoices("purpose", "description"))]
    tools: Words
    capabilities: Words = ()
    model: Word = "default"
    limits: _Limits = Field(default_factory=_Limits)
    gates: Words = ()


def parse_card(content: bytes, source: str) -> Card:
    """The card in a Markdown file; ``source`` names the file in errors.

    Raises:
        InvalidInput: the file and the field are named, and what is wrong with it.
    """
    if len(content) > LONGEST_CARD:
        raise InvalidInput(f"{source}: a card has at most {LONGEST_CARD} bytes, this has {len(content)}.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{source}: not UTF-8 at byte {error.start}.") from error
    matter, instructions = _split(text.replace("\r\n", "\n"), source)
    fields = _checked(matter, source)
    if not instructions:
        raise InvalidInput(f"{source}: the instructions below the front matter are missing.")
    return _card(fields, instructions, source)


def _split(text: str, source: str) -> tuple[Any, str]:
    lines = text.split("\n")
    if lines[0].rstrip() != "---" or "---" not in (line.rstrip() for line in lines[1:]):
        raise InvalidInput(
            f"{source}: there is no front matter.",
            remedy="Begin the file with --- and end the front matter so.",
        )
    end = next(number for number, line in enumerate(lines) if number and line.rstrip() == "---")
    try:
        matter = read_yaml("\n".join(lines[1:end]))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 2}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise InvalidInput(f"{source}:{place} the front matter is not YAML: {problem}.") from error
    return matter, "\n".join(lines[end + 1 :]).strip()


def _checked(matter: Any, source: str) -> _FrontMatter:
    try:
        return _FrontMatter.model_validate(matter)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, one['loc'])) or 'front matter'}: {one['msg']}" for one in error.errors()
        ]
        raise InvalidInput(f"{source}: {'; '.join(faults)}.") from error


def _card(fields: _FrontMatter, instructions: str, source: str) -> Card:
    cost = fields.limits.cost
    limits = RunLimits(
        fields.limits.steps,
        fields.limits.seconds,
        None if cost is None else Money(int(cost * 1_000_000)),
        fields.limits.attempts,
    )
    return Card(
        fields.name,
        fields.purpose,
        instructions,
        fields.tools,
        fields.capabilities,
        fields.model,
        limits,
        fields.gates,
        source,
    )
