"""What a coding CLI's file says: how to start it without a person, and how to read what it prints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol, cast

from bullpen.agents.base import Used
from bullpen.domain.money import Money

MOST_TOKENS = 10**12


@dataclass(frozen=True, slots=True)
class Launch:
    """How a CLI is started in the sandbox. The prompt goes in as ``stdin``, never into a shell.

    ``files`` are settings by file name; inside, they are in the folder ``Ask.files``.
    """

    arguments: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])


@dataclass(frozen=True, slots=True)
class Ask:
    """What a run asks for. ``address`` and ``token`` are what the CLI takes for its model's interface and key."""

    prompt: str
    model: str
    address: str
    token: str
    files: str


@dataclass(frozen=True, slots=True)
class Said:
    """Its last word: whether it says that it succeeded, and what it says."""

    ok: bool
    summary: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What one line told. ``calls`` are (id, tool, arguments) it made itself.

    ``used`` is what this line adds; ``total`` what the whole run used, where the CLI says so at its end.
    """

    text: str = ""
    calls: tuple[tuple[str, str, str], ...] = ()
    used: Used = field(default_factory=Used)
    total: Used | None = None
    said: Said | None = None


class Listener(Protocol):
    """Reads one run's output, line by line."""

    def hear(self, line: bytes) -> Heard | None:
        """What the line told; None where it told nothing that counts.

        Raises:
            InvalidInput: the line is not of the CLI's format.
        """
        ...

    def end(self) -> Said | None:
        """Its last word, where the format has none of its own and the program ended with status 0."""
        ...


class Adapter(Protocol):
    """One coding CLI. ``upstream`` is where its model's interface is, without a manifest that says otherwise."""

    program: str
    install: str
    upstream: str
    acp: tuple[str, ...]  # arguments that make it speak the Agent Client Protocol; empty where it does not

    def launch(self, ask: Ask) -> Launch:
        """How to start it."""
        ...

    def listen(self) -> Listener:
        """For one run."""
        ...


def dig(value: Any, *names: str) -> Any:
    """A value deep in objects; None where one of them is missing or no object."""
    for name in names:
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, Any]", value).get(name)
    return value


def text_in(value: Any, *names: str) -> str:
    """A text deep in objects, empty where there is none."""
    found = dig(value, *names)
    return found if isinstance(found, str) else ""


def list_in(value: Any, *names: str) -> Sequence[Any]:
    """A list deep in objects, empty where there is none."""
    found = dig(value, *names)
    return cast("list[Any]", found) if isinstance(found, list) else ()


def count_in(value: Any, *names: str) -> int:
    """A number of tokens deep in objects; 0 where there is none that can be one."""
    found = dig(value, *names)
    return found if isinstance(found, int) and 0 <= found <= MOST_TOKENS else 0


def cost_in(value: Any, *names: str) -> Money:
    """Dollars deep in objects, rounded up to a micro-dollar; nothing where there is no such number."""
    found = dig(value, *names)
    if not isinstance(found, int | float | str) or isinstance(found, bool):
        return Money()
    try:
        micro = (Decimal(str(found)) * 1_000_000).to_integral_value(rounding="ROUND_CEILING")
    except InvalidOperation:
        return Money()
    return Money(int(micro)) if micro.is_finite() and 0 < micro < MOST_TOKENS else Money()
