"""The typed values of a task that a rule-based model reads: what travels in ``Brief.facts``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a task. Only what a role needs is filled in; a language model gets the same values as text.

    ``recipes`` are candidates in order of preference, ``lines`` the sites in ``path`` (they start at 1), ``rules``
    and ``fingerprints`` name the findings to mend, ``tests`` are ids to run (empty means all), ``tried`` are keys of
    approaches that failed before and ``failure`` what the last one came to. ``subtasks`` are (title, role, why) for a
    lead. ``concern`` is a persona's area.
    """

    path: str = ""
    lines: tuple[int, ...] = ()
    rules: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    failure: str = ""
    subtasks: tuple[tuple[str, str, str], ...] = ()
    concern: str = ""

    def to_mapping(self) -> dict[str, Any]:
        """As ``Brief.facts`` wants them; empty values are left out."""
        return {item.name: value for item in fields(self) if (value := getattr(self, item.name))}

    @classmethod
    def from_mapping(cls, facts: Mapping[str, Any]) -> Self:
        """From ``Brief.facts``; values of other names are for others and are passed over."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: _frozen(value) for name, value in facts.items() if name in known})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list | tuple) else value  # pyright: ignore[reportUnknownVariableType]


def approach_key(recipe: str, path: str, lines: tuple[int, ...]) -> str:
    """What makes two attempts the same attempt: the recipe, the file and the sites."""
    return f"{recipe}@{path}:{','.join(map(str, sorted(set(lines)))) or 'all'}"


def approach_lines(key: str) -> frozenset[int]:
    """The sites an approach took on; empty means all of them, or that the key names no sites."""
    sites = key.rsplit(":", 1)[-1]
    return (
        frozenset(int(line) for line in sites.split(","))
        if re.fullmatch(r"\d+(,\d+)*", sites)
        else frozenset()
    )
