"""The wall clock of a machine is set while a team works: nothing is lost, and nothing is done twice."""

import pytest
from tests.flow.teams.doubles import SESSION, Seen, course, opened, ran, task

from bullpen.domain.actor import Actor
from bullpen.domain.task import TaskState
from bullpen.flow.teams.base import Assignment, Handed, Member, TeamPolicy
from bullpen.flow.teams.queries import AttemptState, list_attempts
from bullpen.kernel.clock import now
from bullpen.kernel.storage.database import Database

YEAR = 365 * 86_400


@pytest.mark.req("OPS-03", "COL-07")
@pytest.mark.parametrize("jumps", [(YEAR, -YEAR), (-YEAR, YEAR)], ids=["ahead-then-back", "back-then-ahead"])
async def test_a_clock_that_is_set_while_a_team_works_changes_nothing(
    database: Database,
    person: Actor,
    monkeypatch: pytest.MonkeyPatch,
    jumps: tuple[int, int],
) -> None:
    await opened(database, person)
    seen, start = Seen(), int(now())

    async def work(one: Assignment) -> Handed:
        seen.note("only", one)
        number = int(one.task.id)
        if number in (1, 3):
            monkeypatch.setenv("SOURCE_DATE_EPOCH", str(start + jumps[number // 2]))
        return Handed(done=True, summary="done")

    chain = [task("0"), *(task(str(number), str(number - 1)) for number in range(1, 6))]
    policy = TeamPolicy(pause=0.0, lease=2.0)
    report = await ran(database, person, course(*chain), [Member("only", {"work": 0.9}, work)], policy)
    assert report.state is TaskState.DONE
    assert [name for name, _, _ in seen.began] == ["0", "1", "2", "3", "4", "5"]
    async with database.view(person) as uow:
        attempts = await list_attempts(uow, SESSION)
    assert [one.state for one in attempts] == [AttemptState.DONE] * 6
    assert report.seconds >= 0
