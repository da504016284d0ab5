"""Where code runs decides how much a fault in it weighs."""

from enum import StrEnum
from pathlib import PurePosixPath

from bullpen.domain.finding import Severity

_TEST_FOLDERS = frozenset({"test", "tests", "testing", "__tests__", "spec", "specs", "testdata", "fixtures"})
_SIDE_FOLDERS = frozenset(
    {"docs", "doc", "examples", "example", "samples", "demo", "demos", "benchmarks", "bench"}
)


class Role(StrEnum):
    """What a file is for."""

    PRODUCT = "product"
    TEST = "test"
    SIDE = "side"  # documentation, examples, benchmarks


def role_of(path: str) -> Role:
    """What a file is for, by its name alone."""
    pure = PurePosixPath(path)
    folders = frozenset(pure.parts[:-1])
    if folders & _TEST_FOLDERS or _named_as_test(pure):
        return Role.TEST
    return Role.SIDE if folders & _SIDE_FOLDERS else Role.PRODUCT


def milder(severity: Severity, steps: int = 1) -> Severity:
    """A severity some steps down, not below INFO."""
    return Severity(max(Severity.INFO, severity - steps))


def _named_as_test(path: PurePosixPath) -> bool:
    name, stem = path.name, path.stem
    return (
        name == "conftest.py"
        or stem.startswith("test_")
        or stem.endswith(("_test", ".test", ".spec"))
        or stem in {"tests", "test"}
    )
