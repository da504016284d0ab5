"""Bullpen's own rules: one YAML file each, in a folder per language.

A rule is here when it is a real fault that the other analysers miss. It says why, where that is written down, and shows
what it finds and the near miss that it leaves alone; every example is a test.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeGuard, cast

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, HttpUrl, ValidationError, model_validator

from bullpen.domain.errors import InvalidInput
from bullpen.domain.finding import Concern, Severity
from bullpen.kernel.yaml_text import read_yaml

FOLDER = Path(__file__).parent
_TOKEN = re.compile(r"\\.|.", re.DOTALL)
_ASCII = {r"\w": "A-Za-z0-9_", r"\d": "0-9", r"\s": r" \t\r\n\f"}
PREFIXES = {"python": "py-", "javascript": "js-", "go": "go-", "html": "html-"}


class Language(StrEnum):
    """A grammar of ast-grep."""

    PYTHON = "python"
    JAVASCRIPT = "javascript"  # with JSX
    TYPESCRIPT = "typescript"
    TSX = "tsx"
    GO = "go"
    HTML = "html"


class Where(StrEnum):
    """In which files a rule speaks."""

    ANYWHERE = "anywhere"
    TESTS = "tests"
    OUTSIDE_TESTS = "outside-tests"


def _severity(value: object) -> object:
    """``high`` for ``Severity.HIGH``; anything else is left for pydantic to refuse."""
    if isinstance(value, str) and value.upper() in Severity.__members__:
        return Severity[value.upper()]
    return value


def _example(value: object) -> object:
    return {"code": value} if isinstance(value, str) else value


class Example(BaseModel):
    """Code to try a rule on. ``count`` is how often it is found; ``languages`` are all of the rule's unless named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(min_length=1)
    count: int = Field(default=1, ge=1)
    languages: tuple[Language, ...] = ()


Examples = Annotated[
    tuple[Annotated[Example, BeforeValidator(_example)], ...],
    Field(min_length=1),
]


class PackRule(BaseModel):
    """One rule as its file has it.

    ``needs`` are literals of which one must occur in a file before it is parsed for this rule. ``rule``,
    ``constraints`` and ``utils`` are an ast-grep configuration (https://ast-grep.github.io/reference/yaml.html).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^(py|js|go|html)-[a-z0-9]+(-[a-z0-9]+)*$")
    languages: tuple[Language, ...] = Field(min_length=1)
    concern: Concern
    severity: Annotated[Severity, BeforeValidator(_severity)]
    where: Where = Where.ANYWHERE
    message: str = Field(min_length=10, max_length=160)
    why: str = Field(min_length=20, max_length=400)
    source: HttpUrl
    same_as: tuple[Annotated[str, Field(pattern=r"^[a-z-]+:\S+$")], ...] = ()
    needs: tuple[Annotated[str, Field(min_length=2)], ...] = ()
    rule: Mapping[str, Any]
    constraints: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    utils: Mapping[str, Any] = Field(default_factory=dict[str, Any])
    positive: Examples
    negative: Examples

    @model_validator(mode="after")
    def _examples_carry_a_needed_literal(self) -> "PackRule":
        for example in self.positive:
            if self.needs and not any(literal in example.code for literal in self.needs):
                raise ValueError(f"no literal of needs occurs in the positive example {example.code!r}")
        return self

    @property
    def name(self) -> str:
        """As observations carry it."""
        return f"ast-grep:{self.id}"

    @property
    def url(self) -> str:
        """Where the fault is written down."""
        return str(self.source)

    def config(self) -> dict[str, Any]:
        """What ast-grep's ``find_all`` takes."""
        parts = {"rule": self.rule, "constraints": self.constraints, "utils": self.utils}
        return {name: _with_plain_regexes(part) for name, part in parts.items() if part}


def _with_plain_regexes(part: object) -> Any:
    if isinstance(part, Mapping):
        pairs = cast("Mapping[str, object]", part).items()
        return {
            name: plain_regex(each) if _is_regex(each, name) else _with_plain_regexes(each)
            for name, each in pairs
        }
    if isinstance(part, list):
        return [_with_plain_regexes(each) for each in cast("list[object]", part)]
    return part


def _is_regex(value: object, name: str) -> TypeGuard[str]:
    return name == "regex" and isinstance(value, str)


def plain_regex(regex: str) -> str:
    r"""The same with ``\w``, ``\d`` and ``\s`` for ASCII alone.

    ast-grep compiles every expression again for every file, and the Unicode classes make that a hundred times slower.
    """
    in_class = False
    parts: list[str] = []
    for token in _TOKEN.findall(regex):
        in_class = token == "[" or (in_class and token != "]")  # noqa: S105 - a bracket
        plain = _ASCII.get(token, token)
        parts.append(plain if in_class or plain == token else f"[{plain}]")
    return "".join(parts)


def read_rule(text: str, file: str) -> PackRule:
    """Parse one rule; ``file`` is its path below the packs' folder, for messages and to check its name.

    Raises:
        InvalidInput: the sentence names the file and every field that is wrong.
    """
    try:
        rule = PackRule.model_validate(read_yaml(text))
    except yaml.YAMLError as error:
        raise InvalidInput(
            f"The rule file {file} is not YAML: {error}", remedy="Correct its syntax."
        ) from error
    except ValidationError as error:
        raise InvalidInput(
            f"The rule file {file} is wrong: {_wrong_fields(error)}", remedy="Correct these fields."
        ) from error
    _check_name(rule, Path(file))
    return rule


def _wrong_fields(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in each['loc']) or 'rule'}: {each['msg']}" for each in error.errors()
    )


def _check_name(rule: PackRule, file: Path) -> None:
    if file.stem != rule.id:
        raise InvalidInput(
            f"The rule file {file} is wrong: id: is {rule.id!r}, not the name of the file.",
            remedy=f"Rename the file to {rule.id}.yml, or the rule to {file.stem}.",
        )
    prefix = PREFIXES.get(file.parent.name, "")
    if not rule.id.startswith(prefix):
        raise InvalidInput(
            f"The rule file {file} is wrong: id: does not start with {prefix!r}.",
            remedy="Rename the rule, or move it to the folder of its language.",
        )


def rule_files(folder: Path = FOLDER) -> Sequence[Path]:
    """All rule files, sorted."""
    return sorted(folder.glob("*/*.yml"))


@cache
def load_rules(folder: Path = FOLDER) -> tuple[PackRule, ...]:
    """Every rule of every pack, sorted by id.

    Raises:
        InvalidInput: a file is wrong; see ``read_rule``.
    """
    rules = (
        read_rule(file.read_text("utf-8"), file.relative_to(folder).as_posix()) for file in rule_files(folder)
    )
    return tuple(sorted(rules, key=lambda rule: rule.id))
