"""Which test shows which requirement of the specification."""

from collections.abc import Iterable, Mapping

import pytest


def shown_by(items: Iterable[pytest.Item]) -> Mapping[str, list[str]]:
    """Test names (without their parameters, each once) by requirement, both sorted."""
    found: dict[str, set[str]] = {}
    for item in items:
        for mark in item.iter_markers("req"):
            for requirement in mark.args:
                found.setdefault(requirement, set()).add(item.nodeid.split("[", 1)[0])
    return {requirement: sorted(found[requirement]) for requirement in sorted(found)}


def listing(items: Iterable[pytest.Item]) -> str:
    """For people: a requirement, and below it the tests that show it."""
    return "\n".join(
        "\n  ".join((f"{requirement} ({len(tests)})", *tests))
        for requirement, tests in shown_by(items).items()
    )
