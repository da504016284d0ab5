"""What an analyser saw, where, and how bad it is."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """Ordered: comparing two says which is worse."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


class Concern(StrEnum):
    """The area of care a finding belongs to; a persona speaks for one."""

    SECURITY = "security"
    PERFORMANCE = "performance"
    ARCHITECTURE = "architecture"
    QA = "qa"
    DOCUMENTATION = "documentation"
    MAINTAINABILITY = "maintainability"
    OPERATIONS = "operations"
    DEPENDENCY = "dependency"
    ACCESSIBILITY = "accessibility"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the tree. Lines and columns start at 1; the end is inclusive for lines, exclusive for columns."""

    path: str
    line: int
    column: int = 1
    end_line: int = 0
    end_column: int = 0
    symbol: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Observation:
    """What one analyser says, before it is identified and merged with what others say.

    ``rule`` is ``analyser:CODE`` (``ruff:F401``, ``ast-grep:py-timeout-missing``). ``same_as`` names the rules of
    other analysers that mean the same fault (``("bandit:B506",)``), so two witnesses make one finding. ``fix`` says
    whether the analyser itself offers a fix: safe, unsafe, or empty.
    """

    rule: str
    message: str
    severity: Severity
    concern: Concern
    place: Place
    analyser: str
    same_as: tuple[str, ...] = ()
    url: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """An identified fault. ``fingerprint`` survives edits above it, a rename of its file, and reformatting.

    ``fix`` is what its first witness offers itself: safe, unsafe, or empty.
    """

    fingerprint: str
    rule: str
    message: str
    severity: Severity
    concern: Concern
    place: Place
    witnesses: tuple[str, ...] = ()
    same_as: tuple[str, ...] = ()
    url: str = ""
    fix: str = ""
    snippet: str = field(default="", compare=False)
