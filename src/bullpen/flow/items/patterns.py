"""How people name rules: ``ruff:S602``, ``S602``, ``S*``."""

from collections.abc import Sequence
from fnmatch import fnmatchcase


def names_rule(patterns: Sequence[str], rule: str) -> bool:
    """Whether one of the patterns means this rule."""
    return any(fnmatchcase(rule, one) or fnmatchcase(rule.split(":", 1)[-1], one) for one in patterns)
