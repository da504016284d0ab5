"""A goal that was split by a template, as tasks of a team: its roles do the steps."""

from bullpen.flow.teams.base import Conclusion, Course, Results, TeamTask
from bullpen.flow.trees.check import check_plan
from bullpen.flow.trees.template import Split


def course_of(split: Split, goal: str) -> Course:
    """The course of a split: every step once, in its order, never by whoever must not do it.

    A step without capabilities is for members with ``role:NAME``, which roles of the roster have.

    Raises:
        InvalidInput: the split is no sound plan.
    """
    check_plan(split.tasks, split.requirements)
    tasks = tuple(TeamTask(one, not_by=split.not_by.get(one.id, ())) for one in split.tasks)
    inner = {one.node.parent for one in tasks}
    leaves = [one.id for one in tasks if one.id not in inner]

    def conclude(results: Results) -> Conclusion:
        done = sum(name in results and results[name].done for name in leaves)
        return Conclusion(f"{done} of {len(leaves)} steps are done.", reached=done == len(leaves))

    return Course("split", goal, tasks, conclude)
