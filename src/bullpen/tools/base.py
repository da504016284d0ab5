"""What a tool is: a typed async function with a docstring, and what a call of it may touch.

A family is one file in ``families/`` with a tuple ``TOOLS``. The schema a model sees comes from the signature, the
descriptions from the docstring (its text, and its ``Args:``).
"""

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, create_model
from pydantic_core import PydanticCustomError

from bullpen.domain.change import Site
from bullpen.domain.errors import InvalidInput, Missing
from bullpen.domain.events import Event
from bullpen.domain.finding import Finding
from bullpen.domain.ids import TaskId
from bullpen.domain.test_report import Coverage, TestReport
from bullpen.domain.verdict import GateResult
from bullpen.kernel.redaction import Redactor
from bullpen.models.base import ToolSpec
from bullpen.recipes.base import Recipe
from bullpen.sandbox.base import Limits, Sandbox
from bullpen.testing.base import Environment, TestRequest
from bullpen.tools.workspace import Scope


class Risk(StrEnum):
    """What a call may do at worst."""

    READ = "read"
    WRITE = "write"  # files of the workspace
    EXECUTE = "execute"  # a program, in the sandbox
    NETWORK = "network"  # something outside this machine
    PRODUCTION = "production"  # something people depend on


@dataclass(frozen=True, slots=True)
class CallKey:
    """Names one call for good: the same key means the same call, made again."""

    task_id: TaskId
    attempt: int
    step: int
    call_id: str

    def __str__(self) -> str:
        return f"{self.task_id}/{self.attempt}/{self.step}/{self.call_id}"


class Journal(Protocol):
    """Where the events of a run are kept."""

    async def past(self, task_id: TaskId, attempt: int) -> Sequence[Event]:
        """Events of this attempt, in order."""
        ...

    async def append(self, *events: Event) -> None:
        """Keep these, all or none; durable when it returns."""
        ...


class Scratchpad(Protocol):
    """Variables the agents of a session share, and what a task saw of which file."""

    async def read(self, name: str) -> str | None:
        """A variable's value."""
        ...

    async def write(self, name: str, value: str) -> None:
        """Set a variable."""
        ...

    async def note_read(self, path: str, sha256: str) -> None:
        """Remember the hash of a file as the task saw it; empty where it saw that there is none."""
        ...

    async def is_stale(self, path: str, sha256: str) -> bool:
        """Whether the task saw this file with another content; false for a file it never looked at."""
        ...


class Worktree(Protocol):
    """The state of the workspace's files."""

    async def snapshot(self) -> str:
        """A hash of all files as they are now (a git tree), kept so that it can be restored."""
        ...

    async def restore(self, tree: str) -> None:
        """Make the files what they were at a snapshot; NotFound if there is none such."""
        ...

    async def original(self, path: str) -> bytes | None:
        """A file as it was before anything was done for the work item; None if there was none."""
        ...


class RecipeBook(Protocol):
    """All recipes; an ``ExtensionPoint`` of single recipes is one."""

    def names(self) -> Sequence[str]:
        """Names of all recipes."""
        ...

    def load(self, name: str) -> Recipe:
        """The recipe called ``name``; NotFound lists those there are."""
        ...


class TestBench(Protocol):
    """Runs the project's tests with the runner that fits."""

    __test__ = False

    async def run(self, request: TestRequest) -> TestReport:
        """A suite that hangs, dies or floods is a report, not an exception."""
        ...


class Inspector(Protocol):
    """Finds faults in a tree."""

    async def inspect(self, root: Path, paths: Sequence[str]) -> Sequence[Finding]:
        """Identified findings in ``paths`` (empty: everywhere)."""
        ...


class Gates(Protocol):
    """The conditions a change must meet, over the evidence there is."""

    async def evaluate(self) -> Sequence[GateResult]:
        """Every gate and how it came out; one that cannot be evaluated has failed."""
        ...


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit, shortly."""

    id: str
    author: str
    date: str
    subject: str


@dataclass(frozen=True, slots=True)
class BlamedLine:
    """Who last changed a line. Lines start at 1."""

    line: int
    commit: str
    author: str
    text: str


class Git(Protocol):
    """What the version control layer does in one worktree. Refusals of git are ``Conflict`` with git's words."""

    async def branch(self) -> str:
        """The branch that is checked out; empty when detached."""
        ...

    async def status(self) -> Sequence[tuple[str, str]]:
        """(two-letter code of git, path) of everything that differs from the last commit."""
        ...

    async def diff(self, base: str = "", paths: Sequence[str] = ()) -> str:
        """Unified diff of the worktree, new files included, against ``base`` (empty: the last commit)."""
        ...

    async def log(self, limit: int, path: str = "") -> Sequence[Commit]:
        """The newest commits."""
        ...

    async def blame(self, path: str, first: int, last: int) -> Sequence[BlamedLine]:
        """Who last changed these lines."""
        ...

    async def create_branch(self, name: str) -> None:
        """Create it here and check it out."""
        ...

    async def commit(self, message: str, paths: Sequence[str] = ()) -> str:
        """Commit ``paths`` (empty: everything); the commit's id."""
        ...

    async def merge(self, branch: str) -> str:
        """Merge it into the current branch; the commit's id. Conflict, and nothing changed, where it does not fit."""
        ...

    async def rebase(self, onto: str) -> str:
        """Put the current branch on top of ``onto``; the new head. Conflict, and nothing changed, where it fails."""
        ...

    async def tag(self, name: str, message: str) -> None:
        """Create an annotated tag here."""
        ...

    async def push(self, branch: str) -> None:
        """Send the branch to where the project keeps it; never by force."""
        ...


@dataclass(frozen=True, slots=True)
class Skills:
    """What tools call. A skill that is None is not there in this run, and its tools say so."""

    recipes: RecipeBook | None = None
    tests: TestBench | None = None
    analysis: Inspector | None = None
    gates: Gates | None = None
    git: Git | None = None


@dataclass(frozen=True, slots=True)
class ToolContext:
    """All a call may touch.

    ``sites`` are the places of the findings by path, ``baseline`` the tests and ``findings`` the faults before the
    task, ``tried`` keys of approaches that failed in earlier attempts, ``protected`` branch name patterns.
    """

    key: CallKey
    role: str
    workspace: Path
    journal: Journal
    scope: Scope = field(default_factory=Scope)
    sandbox: Sandbox | None = None
    environment: Environment | None = None
    scratchpad: Scratchpad | None = None
    worktree: Worktree | None = None
    skills: Skills = field(default_factory=Skills)
    sites: Mapping[str, tuple[Site, ...]] = field(default_factory=dict[str, tuple[Site, ...]])
    baseline: TestReport | None = None
    findings: tuple[Finding, ...] | None = None
    coverage: Coverage | None = None
    tried: frozenset[str] = frozenset()
    allow_unsafe: bool = False
    protected: tuple[str, ...] = ("main", "master", "release/*")
    allow_protected: bool = False
    limits: Limits = field(default_factory=Limits)
    redactor: Redactor = field(default_factory=Redactor)  # the toolbox puts its own here


Skill = TypeVar("Skill")


def need(skill: Skill | None, what: str) -> Skill:
    """The skill, or a refusal a model can understand."""
    if skill is None:
        raise Missing(f"This run has no {what}.", remedy="Go on without this tool.")
    return skill


def _as_text(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "Input should be a valid string")
    return value


AnyText = Annotated[str, PlainValidator(_as_text, json_schema_input_type=str)]
"""Text that may hold surrogates, that is bytes that are not UTF-8: what paths and contents of files are."""

Function = Callable[..., Awaitable[object]]


@dataclass(frozen=True)
class Tool:
    """A function an agent may call. ``ends`` means that the run is over when it succeeds."""

    name: str
    risk: Risk
    function: Function
    ends: bool = False

    @cached_property
    def spec(self) -> ToolSpec:
        """As a model sees it."""
        schema = self.arguments.model_json_schema()
        schema.pop("title", None)
        for one in schema.get("properties", {}).values():
            one.pop("title", None)
        return ToolSpec(self.name, _description(self.function)[0], schema)

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """The model its arguments are checked against, derived from the signature."""
        hints = get_type_hints(self.function, include_extras=True)
        words = _description(self.function)[1]
        fields: dict[str, Any] = {}
        for parameter in list(inspect.signature(self.function).parameters.values())[1:]:
            default = ... if parameter.default is parameter.empty else parameter.default
            description = words.get(parameter.name)
            fields[parameter.name] = (hints[parameter.name], Field(default, description=description))
        return create_model(self.name, __config__=ConfigDict(extra="forbid"), **fields)

    def parse(self, arguments: str) -> dict[str, Any]:
        """Arguments as the function takes them.

        Raises:
            InvalidInput: not JSON, or not what the signature asks for; every fault is named.
        """
        try:
            value = json_loads(arguments or "{}")
            checked = self.arguments.model_validate(value)
        except ValidationError as error:
            faults = "; ".join(_fault(dict(one)) for one in error.errors(include_url=False))
            raise InvalidInput(f"The arguments of {self.name} do not fit: {faults}.") from error
        return {name: getattr(checked, name) for name in type(checked).model_fields}


def tool(*, risk: Risk, ends: bool = False) -> Callable[[Function], Tool]:
    """Make a typed async function with a docstring a tool; its first parameter is the ``ToolContext``."""

    def make(function: Function) -> Tool:
        return Tool(getattr(function, "__name__", ""), risk, function, ends)

    return make


def json_loads(text: str) -> Any:
    """JSON from a model.

    Raises:
        InvalidInput: it is not JSON; the message says where it goes wrong.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The arguments are not valid JSON: {error}.") from error


def _fault(error: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in error["loc"])
    return f"{place}: {error['msg']}" if place else str(error["msg"])


_PARAMETER = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def _description(function: Function) -> tuple[str, dict[str, str]]:
    """(what the docstring says, what its ``Args:`` says of each parameter)."""
    text = inspect.getdoc(function) or ""
    said, _, parameters = text.partition("\nArgs:\n")
    words = {name: " ".join(rest.split()) for name, rest in _PARAMETER.findall(parameters)}
    return said.strip(), words
