"""A hierarchy: the top splits the goal among leads, each lead splits its part among workers, and back up again."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from bullpen.flow.patterns._splitting import Level, concluded, following, opening
from bullpen.flow.patterns.base import Brief, Options, read_options
from bullpen.flow.teams.base import Conclusion, Course, Results, TeamTask


class Hierarchy(Options):
    """Capabilities from the top down; the last one does the work."""

    levels: Annotated[tuple[str, ...], Field(min_length=3, max_length=8)] = ("top", "lead", "work")
    input: Any = None


def arrange(brief: Brief) -> Course:
    """See ``Pattern``."""
    options = read_options(Hierarchy, brief)
    brief.able(options.levels[0])
    level = Level(("hierarchical", brief.goal), options.levels)

    def grow(results: Results) -> Sequence[TeamTask]:
        return following(level, brief.goal, results)

    def conclude(results: Results) -> Conclusion:
        return concluded(level, results)

    first = opening(level, brief.goal, options.input)
    return Course("hierarchical", brief.goal, (first,), conclude, grow)
