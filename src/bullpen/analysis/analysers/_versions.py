"""Versions as each registry orders them."""

import re
from typing import Any

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

PYPI = "PyPI"
_SEMVER = re.compile(
    r"v?(?P<core>\d+(?:\.\d+){0,2})(?:-(?P<early>[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII
)
_CARET = re.compile(r"(?P<mark>\^|~)?\s*(?P<version>\d+(?:\.\d+)*)", re.ASCII)
_LONGEST = 80  # characters; nobody numbers further


def order(ecosystem: str, version: str) -> Any:
    """A key by which versions of one ecosystem compare; None for what is no version of it (PEP 440, SemVer 2.0)."""
    if len(version) > _LONGEST:
        return None
    return _pep440(version) if ecosystem == PYPI else _semver(version)


def _pep440(version: str) -> Version | None:
    try:
        return Version(version)
    except InvalidVersion:
        return None


def _semver(version: str) -> tuple[Any, ...] | None:
    match = _SEMVER.fullmatch(version)
    if match is None:
        return None
    core = [int(part) for part in match["core"].split(".")]
    core += [0] * (3 - len(core))
    early = match["early"]
    parts = [_part(part) for part in early.split(".")] if early else []
    return (*core, not early, parts)  # without an early part it comes after all that have one


def _part(text: str) -> tuple[bool, int, str]:
    """Numbers by value and before words."""
    return (False, int(text), "") if text.isdecimal() else (True, 0, text)


def exact(specifier: SpecifierSet) -> str:
    """The one version that is allowed, or an empty string."""
    each = list(specifier)
    if len(each) == 1 and each[0].operator in ("==", "===") and not each[0].version.endswith(".*"):
        return each[0].version
    return ""


def poetry_range(text: str) -> SpecifierSet | None:
    """What Poetry's ``^1.2``, ``~1.2``, ``1.2`` or a list of comparisons allow; None if it cannot be told."""
    match = _CARET.fullmatch(text.strip())
    try:
        if match is None:
            return SpecifierSet(text)
        if not match["mark"]:
            return SpecifierSet(f"=={match['version']}")
        return SpecifierSet(f">={match['version']},<{_above(match['version'], caret=match['mark'] == '^')}")
    except InvalidSpecifier:
        return None


def _above(version: str, *, caret: bool) -> str:
    parts = [int(part) for part in version.split(".")]
    first = next((n for n, part in enumerate(parts) if part), len(parts) - 1)
    raised = first if caret else min(1, len(parts) - 1)
    return ".".join(map(str, (*parts[:raised], parts[raised] + 1)))


def ends_below(specifier: SpecifierSet, bound: Version) -> bool:
    """Whether no version from ``bound`` on is allowed."""
    return any(_ends_below(each, bound) for each in specifier)


def _ends_below(one: Specifier, bound: Version) -> bool:
    base = _pep440(one.version.removesuffix(".*"))
    if base is None:
        return False
    if one.operator == "<":
        return base <= bound
    if one.operator == "<=" or (one.operator in ("==", "===") and not one.version.endswith(".*")):
        return base < bound
    if one.operator == "==":
        return Version(_raised(base.release, len(base.release) - 1)) <= bound
    return (
        one.operator == "~="
        and len(base.release) > 1
        and Version(_raised(base.release, len(base.release) - 2)) <= bound
    )


def starts_at_or_above(specifier: SpecifierSet, bound: Version) -> bool:
    """Whether no version before ``bound`` is allowed."""
    floors = (
        _pep440(each.version.removesuffix(".*"))
        for each in specifier
        if each.operator in (">=", ">", "~=", "==")
    )
    return any(floor is not None and floor >= bound for floor in floors)


def _raised(release: tuple[int, ...], at: int) -> str:
    return ".".join(map(str, (*release[:at], release[at] + 1)))
