"""Lead and workers: a lead splits the goal, workers do the parts side by side, the lead puts them together."""

from collections.abc import Sequence
from typing import Any

from bullpen.flow.patterns._splitting import Level, concluded, following, opening
from bullpen.flow.patterns.base import Brief, Options, read_options
from bullpen.flow.teams.base import Conclusion, Course, Results, TeamTask


class LeadWorker(Options):
    """Capabilities of the lead and of the workers, and what the lead is given."""

    lead: str = "lead"
    work: str = "work"
    input: Any = None


def arrange(brief: Brief) -> Course:
    """See ``Pattern``."""
    options = read_options(LeadWorker, brief)
    brief.able(options.lead)
    brief.able(options.work)
    level = Level(("lead_worker", brief.goal), (options.lead, options.work))

    def grow(results: Results) -> Sequence[TeamTask]:
        return following(level, brief.goal, results)

    def conclude(results: Results) -> Conclusion:
        return concluded(level, results)

    first = opening(level, brief.goal, options.input)
    return Course("lead_worker", brief.goal, (first,), conclude, grow)
