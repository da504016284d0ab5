"""What runs tests of a commit, as those who judge and land changes see it."""

from collections.abc import Sequence
from typing import Protocol

from bullpen.domain.test_report import TestReport


class TestRuns(Protocol):
    """See ``ProjectTests``: the same selection on the same tree gives the same report."""

    __test__ = False

    async def run(
        self, commit: str, select: Sequence[str] = (), *, coverage: bool = False, contexts: bool = False
    ) -> TestReport:
        """Run all tests, or those selected (ids or files), of a commit."""
        ...

    async def run_against(
        self, commit: str, expected: frozenset[str], select: Sequence[str] = ()
    ) -> TestReport:
        """The same for tests that should pass; those that do not are tried again before they count as broken."""
        ...
