"""What a kind of trigger is: what a file says of it, what arrives, and whether the one answers the other."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from bullpen.domain.errors import InvalidInput
from bullpen.flow.definitions.model import Strict
from bullpen.kernel.extend import ExtensionPoint

OptionsT = TypeVar("OptionsT", bound=BaseModel)
PayloadT = TypeVar("PayloadT", bound=BaseModel)
Line = Annotated[str, Field(max_length=2_000)]
Word = Annotated[str, Field(min_length=1, max_length=300)]


@dataclass(frozen=True, slots=True)
class Trigger:
    """What begins a run. ``key`` is the same each time the same thing is told; ``values`` are what a job may use.

    ``says`` is one line for people. All texts may come from strangers.
    """

    kind: str
    key: str
    says: str
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Watch:
    """What a look is made with: the repository (empty for none), Bullpen's copies, the moment, and what was missed.

    ``catch_up`` says which times that passed unseen are made up for: none, latest or all, if not older than ``late``
    seconds. ``at_once``: somebody says that there is something to be seen.
    """

    repo: str
    mirrors: Path
    at: float
    catch_up: str = "latest"
    late: float = 86_400.0
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Look(Generic[PayloadT]):
    """What a look found. ``memory`` is handed to the next look; ``note`` tells what was left out or is odd."""

    memory: str
    found: tuple[PayloadT, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class TriggerKind(Generic[OptionsT, PayloadT]):
    """A kind of trigger.

    ``options`` is the model of what a file says, ``payload`` of what arrives; ``objection`` says why something that
    arrived is none of the file's business, and is empty where it is. ``look`` finds out by itself (see ``Watch``); its
    memory is empty the first time, or what ``first`` says of the moment it was allowed. ``next_at`` says when it will
    find something, as seconds since 1970.
    """

    options: type[OptionsT]
    payload: type[PayloadT]
    objection: Callable[[OptionsT, PayloadT], str]
    key: Callable[[PayloadT], str]
    says: Callable[[PayloadT], str]
    look: Callable[[Watch, OptionsT, str], Awaitable[Look[PayloadT]]] | None = None
    next_at: Callable[[OptionsT, float], float | None] | None = None
    first: Callable[[float], str] | None = None

    def trigger(self, name: str, payload: PayloadT) -> Trigger:
        """What a payload begins a run with; ``name`` is that of the kind."""
        return Trigger(
            name, f"{name}:{self.key(payload)}", self.says(payload), payload.model_dump(mode="json")
        )


TRIGGERS: ExtensionPoint[TriggerKind[Any, Any]] = ExtensionPoint(
    "bullpen.flow.automation.triggers", "TRIGGER"
)


def read_payload(kind: TriggerKind[OptionsT, PayloadT], name: str, data: object) -> PayloadT:
    """What arrived at a door, as a value.

    Raises:
        InvalidInput: it is of another shape; the first fault is named.
    """
    try:
        return kind.payload.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        said = first["msg"].removeprefix("Value error, ")
        raise InvalidInput(
            f"This is no payload of the trigger {name!r}: {place}: {said[:1].lower()}{said[1:]}.",
            remedy=f"It has: {', '.join(kind.payload.model_fields)}.",
        ) from error


def glob(text: str) -> str:
    """A pattern for names, as in a shell; ValueError if it holds what no name does."""
    if not text or len(text) > 300 or any(ord(mark) < 32 for mark in text):
        raise ValueError(f"{text!r} is no pattern")
    return text


Glob = Annotated[str, AfterValidator(glob)]


def any_matches(patterns: tuple[str, ...], name: str) -> bool:
    """Whether one of them matches; no patterns at all match everything."""
    return not patterns or any(fnmatchcase(name, one) for one in patterns)


def path_matches(pattern: str, path: str) -> bool:
    """Whether a path is meant: ``src/`` and all below it, ``*`` within a folder, ``**`` over folders."""
    if pattern.endswith("/"):
        return path.startswith(pattern)
    parts = (re.escape(one) for one in re.split(r"(\*\*/|\*\*|\*|\?)", pattern))
    wild = {r"\*\*/": "(?:.*/)?", r"\*\*": ".*", r"\*": "[^/]*", r"\?": "[^/]"}
    return re.fullmatch("".join(wild.get(one, one) for one in parts), path, re.DOTALL) is not None


class Nothing(Strict):
    """No options."""
