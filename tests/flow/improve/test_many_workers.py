"""Several processes on one session: what was spent is what all have spent; who cannot run the tests does not help."""

import asyncio
from types import SimpleNamespace

import pytest

from bullpen.domain.actor import Actor
from bullpen.domain.events.agent import ModelReplied, NoteTaken
from bullpen.domain.ids import SessionId, TaskId
from bullpen.domain.money import Money
from bullpen.domain.test_report import SuiteEnd, TestOutcome, TestReport, TestResult
from bullpen.flow.improve.options import ImproveOptions
from bullpen.flow.improve.records import money_spent
from bullpen.flow.improve.session import ImproveSession, why_unfit
from bullpen.kernel.storage.database import Database

SESSION = SessionId("ses-many")


async def replied(database: Database, person: Actor, *micro_usd: int) -> None:
    async with database.transaction(person) as uow:
        for cost in micro_usd:
            uow.record(SESSION, ModelReplied(TaskId("t"), 1, 1, "", (), 10, 10, cost))
            uow.record(SESSION, NoteTaken(TaskId("t"), 1, "n", "between"))


def session() -> ImproveSession:
    """As another process would load it; the parts that count money need no more of it."""
    return ImproveSession(SESSION, ImproveOptions("."), None, None, 0.0)  # type: ignore[arg-type]


@pytest.mark.req("SCH-03", "AGT-07")
async def test_what_one_process_spends_another_one_counts(database: Database, person: Actor) -> None:
    means = SimpleNamespace(database=database, actor=person)
    here, elsewhere = session(), session()
    await replied(database, person, 1_000, 2_000)
    assert await money_spent(means, here) == Money(3_000)  # type: ignore[arg-type]
    await replied(database, person, *[10] * 700)  # more than one page of the log
    both = await asyncio.gather(*(money_spent(means, here) for _ in range(5)))  # type: ignore[arg-type]
    assert set(both) == {Money(10_000)}
    assert await money_spent(means, elsewhere) == Money(10_000)  # type: ignore[arg-type]


def report(end: SuiteEnd = SuiteEnd.FINISHED, **outcomes: TestOutcome) -> TestReport:
    return TestReport("pytest", (), end, tuple(TestResult(name, one) for name, one in outcomes.items()))


@pytest.mark.req("SCH-03")
def test_a_machine_where_tests_come_out_otherwise_is_told_why() -> None:
    good, bad = TestOutcome.PASSED, TestOutcome.FAILED
    before = report(a=good, b=good, c=good, d=good, e=bad)
    assert why_unfit(before, before, frozenset()) == ""
    assert why_unfit(before, report(a=good, b=good, c=good, d=good, e=good), frozenset()) == ""
    assert why_unfit(before, report(a=bad, b=good, c=good, d=good, e=bad), frozenset("a")) == ""
    one = why_unfit(before, report(a=bad, b=good, c=good, d=good, e=bad), frozenset())
    assert one == "Tests that pass where the session was begun do not pass here: a."
    many = why_unfit(before, report(e=bad), frozenset())
    assert many.endswith("do not pass here: a, b, c and 1 more.")
    ended = why_unfit(before, report(SuiteEnd.NOT_STARTED), frozenset())
    assert ended.startswith("The tests do not come to their end here: ")
