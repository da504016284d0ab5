"""Taking on tasks: those of the course, those that follow from results, those that messages ask for."""

from collections.abc import Sequence

from bullpen.domain.errors import LimitExceeded
from bullpen.domain.task import TaskState
from bullpen.flow.teams.actions import declare_intent, record_overlap
from bullpen.flow.teams.base import TeamTask
from bullpen.flow.teams.intents import map_intents
from bullpen.flow.teams.state import Team, job_of
from bullpen.flow.trees.check import check_plan
from bullpen.work.actions.tasks import add_tasks
from bullpen.work.queries import list_tasks


async def add(team: Team, tasks: Sequence[TeamTask]) -> None:
    """Take on more tasks: intents first, then the whole checked, then stored."""
    fresh = [one for one in tasks if one.id not in team.tasks]
    if not fresh:
        return
    if len(team.tasks) + len(fresh) > team.policy.most_tasks:
        raise LimitExceeded(
            f"The team has asked for more than {team.policy.most_tasks} tasks.",
            remedy="Let agents ask for fewer, or allow more in the policy.",
        )
    mapped = map_intents(team.tasks.values(), fresh, team.means.imports)
    check_plan([one.planned for one in mapped.tasks])
    new = {one.id for one in fresh}
    async with team.writing() as uow:
        known = {one.id for one in await list_tasks(uow, team.session)}
        await add_tasks(uow, team.session, [one.node for one in mapped.tasks if one.id in new])
        for intent in mapped.intents:
            if intent.task in new - known:
                declare_intent(uow, team.session, intent)
        for overlap in mapped.plan.overlaps:
            if {overlap.first, overlap.then} & (new - known):
                record_overlap(uow, team.session, overlap)
    for one in mapped.tasks:
        if one.id in new:
            team.tasks[one.id] = one
            team.states[one.id] = TaskState.WAITING
            team.numbers.setdefault(one.id, 0)
            team.jobs[one.id] = job_of(team, one)
    team.same_agent.update(mapped.same_agent)
    team.asked.update({name: one for name, one in mapped.asked.items() if name in new})


async def grow(team: Team) -> None:
    """Add what follows from the results, and what others asked for, until nothing more does."""
    await add(team, team.course.grow(team.results()))
    if team.mail is None or team.course.on_message is None:
        return
    while deliveries := await team.mail.fetch():
        await add(team, [team.course.on_message(one.message) for one in deliveries])
        async with team.writing() as uow:
            await team.mail.settle(uow, deliveries)
        await team.mail.settled(deliveries)
