"""Manifests: how an agent that is a program says what it is, in YAML, in TOML, or in comment lines of the program.

    name: line-counter
    version: 1.0.0
    purpose: Counts the lines of the files of a task.
    capabilities: [count]
    command: [./line-counter.sh]
    limits: {seconds: 60, memory_mb: 128}

A single executable carries the same between two lines of ``---``, each line behind the comment sign of its language.
"""

import re
import sys
import tomllib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal

import yaml
from packaging.version import InvalidVersion, Version
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from bullpen.domain.errors import InvalidInput
from bullpen.domain.money import Money
from bullpen.kernel.yaml_text import read_yaml
from bullpen.sandbox.base import MEBIBYTE, Limits

PROTOCOL = 1  # of the lines between Bullpen and a script agent
LONGEST_MANIFEST = 64 * 1024  # bytes
_COMMENT = re.compile(r"^\s*(?:#|//|--|;|%|\")\s?")
_RULER = "---"


@dataclass(frozen=True, slots=True)
class AgentLimits:
    """What one agent may use. All but ``concurrency`` hold for one task; None means unlimited.

    ``quiet_seconds`` is how long it may say nothing before it counts as dead, ``restarts`` how often one that died is
    started again on the same task.
    """

    concurrency: int = 1
    seconds: float = 1800.0
    quiet_seconds: float | None = None
    tokens: int | None = None
    cost: Money | None = None
    cpus: float = 1.0
    memory_bytes: int = 512 * MEBIBYTE
    processes: int = 64
    output_bytes: int = 4 * MEBIBYTE
    restarts: int = 1

    def for_sandbox(self, seconds: float) -> Limits:
        """As the sandbox takes them; ``seconds`` are what is left of the task's time."""
        return Limits(
            cpus=self.cpus,
            memory_bytes=self.memory_bytes,
            processes=self.processes,
            wall_seconds=seconds,
            output_bytes=self.output_bytes,
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an agent says of itself; checked, not believed.

    ``health`` is a command that ends with 0 while the agent is well, ``needs`` are programs it calls. ``adapter`` names
    a coding CLI, ``secret`` the secret whose value the broker adds outside the sandbox, ``url`` where a remote one is, or the interface of its
    model. One that ``resumes`` goes on from the files as it left them when it was stopped. ``env`` are variables of an ACP agent; {broker} and {token} in them stand for what the broker gives it.
    """

    name: str
    version: str
    purpose: str
    kind: str = "script"
    capabilities: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    adapter: str = ""
    model: str = ""
    secret: str = ""
    url: str = ""
    env: tuple[tuple[str, str], ...] = ()
    resumes: bool = False
    limits: AgentLimits = field(default_factory=AgentLimits)


def _listed(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _version(value: str) -> str:
    try:
        Version(value)
    except InvalidVersion:
        raise ValueError("a version looks like 1.2.3") from None
    return value


Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_:.-]{0,63}$"), AfterValidator(sys.intern)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_listed), Field(max_length=64)]
Argument = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]
Arguments = Annotated[tuple[Argument, ...], Field(max_length=64)]
Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,127}$")]
Program = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$")]


class LimitsForm(BaseModel):
    """Limits as they are written in a manifest or in the settings of a namespace."""

    model_config = ConfigDict(extra="forbid")
    concurrency: int = Field(default=1, ge=1, le=1000)
    seconds: float = Field(default=1800.0, gt=0, le=86_400)
    quiet_seconds: float | None = Field(default=None, gt=0, le=86_400)
    tokens: int | None = Field(default=None, ge=0)
    cost: Decimal | None = Field(default=None, ge=0, le=10_000, decimal_places=6)
    cpus: float = Field(default=1.0, ge=0.05, le=256)
    memory_mb: int = Field(default=512, ge=16, le=1_048_576)
    processes: int = Field(default=64, ge=4, le=32_768)
    output_kb: int = Field(default=4096, ge=1, le=262_144)
    restarts: int = Field(default=1, ge=0, le=10)


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=False)
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
    version: Annotated[str, AfterValidator(_version)]
    purpose: Annotated[str, Field(min_length=8, max_length=1000)]
    protocol: Literal[1] = PROTOCOL
    kind: Literal["script", "acp", "coding_cli", "remote"] = "script"
    capabilities: Words = ()
    command: Arguments = ()
    health: Arguments = ()
    needs: Annotated[tuple[Program, ...], BeforeValidator(_listed), Field(max_length=32)] = ()
    adapter: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] | Literal[""] = ""
    model: Annotated[str, Field(max_length=200)] = ""
    secret: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,127}$")] | Literal[""] = ""
    url: (
        Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(?:[/?][^\s#]*)?$", max_length=2000)] | Literal[""]
    ) = ""
    resumes: bool = False
    env: Annotated[dict[Variable, Argument], Field(max_length=64)] = Field(default_factory=dict)
    limits: LimitsForm = Field(default_factory=LimitsForm)

    @model_validator(mode="after")
    def _whole(self) -> "_Manifest":
        needed = {"coding_cli": "adapter", "remote": "url"}.get(self.kind)
        if needed and not getattr(self, needed):
            raise ValueError(f"an agent of kind {self.kind} needs {needed!r}")
        if self.kind == "acp" and not (self.command or self.adapter):
            raise ValueError("an agent of kind acp needs 'command' or 'adapter'")
        return self


def parse_manifest(content: bytes, source: str) -> Manifest:
    """The manifest in a file whose name ends with .toml, .yaml or .yml.

    Raises:
        InvalidInput: the file and the field are named, and what is wrong with it.
    """
    text = _text(content, source)
    return _manifest(_toml(text, source) if source.endswith(".toml") else _yaml(text, source), source)


def parse_embedded(content: bytes, source: str) -> Manifest | None:
    """The manifest in the comment lines of an executable; None where it carries none."""
    head = content[:LONGEST_MANIFEST].decode("utf-8", "replace").splitlines()
    lines = [_COMMENT.sub("", line).rstrip() if _COMMENT.match(line) else None for line in head]
    rulers = [number for number, line in enumerate(lines) if line == _RULER]
    if len(rulers) < 2 or rulers[0] > 5:
        return None
    inner = lines[rulers[0] + 1 : rulers[1]]
    if None in inner:
        raise InvalidInput(f"{source}: a line between the two '---' is not a comment.")
    return _manifest(_yaml("\n".join(line or "" for line in inner), source), source)


def _text(content: bytes, source: str) -> str:
    if len(content) > LONGEST_MANIFEST:
        raise InvalidInput(
            f"{source}: a manifest has at most {LONGEST_MANIFEST} bytes, this has {len(content)}."
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{source}: not UTF-8 at byte {error.start}.") from error


def _toml(text: str, source: str) -> Any:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidInput(f"{source}: not TOML: {error}.") from error


def _yaml(text: str, source: str) -> Any:
    try:
        return read_yaml(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise InvalidInput(f"{source}: not YAML: {problem}.") from error


def _manifest(data: Any, source: str) -> Manifest:
    try:
        fields = _Manifest.model_validate(data)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc'])) or 'manifest'}: {one['msg']}" for one in error.errors()]
        raise InvalidInput(f"{source}: {'; '.join(faults)}.") from error
    values = fields.model_dump(exclude={"limits", "protocol", "env"})
    return Manifest(**values, env=tuple(fields.env.items()), limits=limits_of(fields.limits))


def limits_of(said: LimitsForm) -> AgentLimits:
    """Limits that were written, as values; agents with the default share one."""
    cost = None if said.cost is None else Money(int(said.cost * 1_000_000))
    limits = AgentLimits(
        said.concurrency,
        said.seconds,
        said.quiet_seconds,
        said.tokens,
        cost,
        said.cpus,
        said.memory_mb * MEBIBYTE,
        said.processes,
        said.output_kb * 1024,
        said.restarts,
    )
    return DEFAULT_LIMITS if limits == DEFAULT_LIMITS else limits


DEFAULT_LIMITS = AgentLimits()


def lower_limits(asked: AgentLimits, most: AgentLimits) -> AgentLimits:
    """The lower of two, one by one: how a repository or a sub-project narrows what an agent may use."""
    costs = [cost for cost in (asked.cost, most.cost) if cost is not None]
    return AgentLimits(
        min(asked.concurrency, most.concurrency),
        min(asked.seconds, most.seconds),
        _least(asked.quiet_seconds, most.quiet_seconds),
        None if (tokens := _least(asked.tokens, most.tokens)) is None else int(tokens),
        min(costs) if costs else None,
        min(asked.cpus, most.cpus),
        min(asked.memory_bytes, most.memory_bytes),
        min(asked.processes, most.processes),
        min(asked.output_bytes, most.output_bytes),
        min(asked.restarts, most.restarts),
    )


def _least(*values: float | None) -> float | None:
    return min((value for value in values if value is not None), default=None)
