"""Personas are cards: a Markdown file with YAML front matter each, in ``personas/``.

The front matter gives ``name`` (the file's name), ``title``, ``concern``, ``analysers``, ``values`` (what it cares for,
most first) and ``voice``: templates by rule prefix (``ruff:S6``), by severity (``high``) or ``default``. A template may use ``$fault``, ``$where``, ``$rule``,
``$symbol`` and ``$witnesses``. The text below the front matter is for a model that takes the role.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from bullpen.analysis.base import Persona, Value
from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.domain.finding import Concern, Finding
from bullpen.kernel.yaml_text import read_yaml

_FRONT = re.compile(r"\A---\n(.*?\n)---\n(.*)\Z", re.DOTALL)
_WORDS = frozenset({"fault", "where", "rule", "symbol", "witnesses"})


@dataclass(frozen=True, slots=True)
class Remark:
    """What a persona says about a finding."""

    persona: str
    finding: Finding
    sentence: str


def _known_words(template: str) -> str:
    parsed = Template(template)
    if not parsed.is_valid():
        raise ValueError(f"{template!r} is not a template; write $$ for a dollar sign")
    strange = sorted(set(parsed.get_identifiers()) - _WORDS)
    if strange:
        raise ValueError(f"unknown words {', '.join(strange)}; there are {', '.join(sorted(_WORDS))}")
    return template


def _has_default(voice: dict[str, str]) -> dict[str, str]:
    if "default" not in voice:
        raise ValueError("the voice needs a template called 'default'")
    return voice


class _Card(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False)

    name: str
    title: str
    concern: Concern
    analysers: tuple[str, ...]
    values: tuple[Value, ...] = ()
    voice: Annotated[dict[str, Annotated[str, AfterValidator(_known_words)]], AfterValidator(_has_default)]


def load_personas(folder: Path | None = None) -> tuple[Persona, ...]:
    """All personas, by name; those that come with this package unless another folder is given.

    Raises:
        InvalidInput: a card cannot be read; the sentence names the file and the entry.
    """
    cards = folder or Path(str(files("bullpen.analysis.personas")))
    return tuple(read_card(card.name, card.read_text("utf-8")) for card in sorted(cards.glob("*.md")))


def choose_personas(names: Iterable[str], personas: Sequence[Persona]) -> tuple[Persona, ...]:
    """Those with these names, in the order asked.

    Raises:
        NotFound: there is no such persona; the sentence lists those there are.
    """
    by_name = {persona.name: persona for persona in personas}
    wanted = list(names)
    for name in wanted:
        if name not in by_name:
            raise NotFound(f"There is no persona {name!r}; there are: {', '.join(sorted(by_name))}.")
    return tuple(by_name[name] for name in wanted)


def read_card(file_name: str, text: str) -> Persona:
    """A persona from the text of its card.

    Raises:
        InvalidInput: the front matter is missing, is not YAML, or an entry is wrong.
    """
    match = _FRONT.match(text)
    if match is None:
        raise _wrong(file_name, "it must start with front matter between two lines of '---'")
    try:
        card = _Card.model_validate(read_yaml(match[1]))
    except yaml.YAMLError as error:
        raise _wrong(file_name, f"its front matter is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise _wrong(file_name, _first_problem(error)) from error
    if card.name != Path(file_name).stem:
        raise _wrong(file_name, f"its name is {card.name!r}, which is not the name of the file")
    return Persona(
        card.name, card.title, card.concern, card.analysers, card.voice, match[2].strip(), card.values
    )


def speak(persona: Persona, finding: Finding) -> str:
    """One sentence about the finding in the persona's voice."""
    place = finding.place
    where = f"in {place.symbol} ({place})" if place.symbol else f"at {place}"
    sentence = Template(_template(persona, finding)).substitute(
        fault=" ".join(finding.message.split()).rstrip("."),
        where=where,
        rule=finding.rule,
        symbol=place.symbol or "the module",
        witnesses=" and ".join(finding.witnesses),
    )
    return sentence[:1].upper() + sentence[1:]


def remarks(personas: Sequence[Persona], findings: Iterable[Finding]) -> list[Remark]:
    """What each persona says about the findings of its concern. A finding nobody is concerned with stays unsaid."""
    return [
        Remark(persona.name, finding, speak(persona, finding))
        for finding in findings
        for persona in personas
        if persona.concern == finding.concern
    ]


def _template(persona: Persona, finding: Finding) -> str:
    rules = (finding.rule, *finding.same_as)
    prefixes = [key for key in persona.voice if ":" in key and any(rule.startswith(key) for rule in rules)]
    if prefixes:
        return persona.voice[max(prefixes, key=len)]
    return persona.voice.get(finding.severity.name.lower(), persona.voice["default"])


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    entry = ".".join(str(part) for part in problem["loc"]) or "the front matter"
    return f"{entry}: {problem['msg']}"


def _wrong(file_name: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"The persona card {file_name} cannot be used: {why}.",
        remedy="Compare it with the cards that come with Bullpen.",
    )
