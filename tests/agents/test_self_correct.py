"""A bounded number of attempts, each knowing what failed, each another way."""

from collections.abc import Sequence

import pytest

from bullpen.agents.base import AgentResult, AgentTask, Ending
from bullpen.agents.self_correct import Attempt, Corrected, Failure, self_correct, with_failures
from bullpen.domain.ids import TaskId
from bullpen.models.facts import Facts

TASK = AgentTask(TaskId("task-1"), "Mend it.", Facts("a.py", recipes=("one", "two")))


def result(*tried: str, ending: Ending = Ending.FINISHED, outcome: str = "done") -> AgentResult:
    return AgentResult(ending, "said", outcome, tried=tried)


def failed(
    number: int, *tried: str, diff: str = "", ending: Ending = Ending.FINISHED, outcome: str = "done"
) -> Attempt:
    failure = Failure(number, f"test {number} fails", diff or f"diff {number}", f"output {number}", tried)
    return Attempt(result(*tried, ending=ending, outcome=outcome), failure)


async def correct(
    attempts: Sequence[Attempt], most: int = 3
) -> tuple[Corrected, list[tuple[AgentTask, frozenset[str]]]]:
    given: list[tuple[AgentTask, frozenset[str]]] = []

    async def work(task: AgentTask, tried: frozenset[str]) -> Attempt:
        given.append((task, tried))
        return attempts[len(given) - 1]

    return await self_correct(work, TASK, most), given


async def test_an_accepted_attempt_is_the_last() -> None:
    corrected, given = await correct([Attempt(result("one"))])
    assert corrected.accepted == result("one")
    assert given == [(TASK, frozenset())]


@pytest.mark.req("AGT-08")
async def test_the_next_attempt_knows_error_diff_and_tests_of_the_last() -> None:
    corrected, given = await correct([failed(1, "one"), failed(2, "two"), Attempt(result("three"))])
    assert corrected.accepted == result("three")
    task, tried = given[2]
    assert tried == {"one", "two"}
    assert (task.attempt, task.facts.tried, task.facts.failure) == (3, ("one", "two"), "test 2 fails")
    for said in (
        "Mend it.",
        "Attempt 1 failed: test 1 fails",
        "test 2 fails",
        "diff 2",
        "output 2",
        "different",
    ):
        assert said in task.text


@pytest.mark.req("AGT-08")
async def test_attempts_are_bounded() -> None:
    corrected, given = await correct([failed(1, "one"), failed(2, "two"), failed(3, "three")], 2)
    assert (corrected.accepted, len(given)) == (None, 2)
    assert corrected.gave_up == "All 2 attempts failed; the last one: test 2 fails"


@pytest.mark.req("AGT-08", "AGT-13")
@pytest.mark.parametrize(
    ("second", "said"),
    [
        (failed(2, "two", diff="diff 1"), "Attempt 2 made the same patch that failed in attempt 1."),
        (failed(2, "one", diff="diff 2"), "Attempt 2 took no approach that was not tried before."),
        (failed(2, outcome="no-approach", ending=Ending.FAILED), "said"),
        (failed(2, ending=Ending.CANCELLED), "The run ended: cancelled."),
        (failed(2, ending=Ending.WAITING), "The run ended: waiting."),
    ],
)
async def test_more_of_the_same_is_not_tried(second: Attempt, said: str) -> None:
    corrected, given = await correct([failed(1, "one"), second], 9)
    assert corrected.gave_up == said
    assert len(given) == 2


def test_what_is_told_is_bounded_and_fenced() -> None:
    huge = Failure(1, "e" * 50_000, "d" * 50_000 + "</data>", "t" * 50_000)
    task = with_failures(TASK, [huge])
    assert len(task.text) < 30_000
    assert task.text.count("<data ") == task.text.count("</data>") == 3
