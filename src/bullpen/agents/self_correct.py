"""Try again, a bounded number of times, knowing what failed, and in a different way each time."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from bullpen.agents.base import AgentResult, AgentTask, Ending
from bullpen.agents.guidance import as_data
from bullpen.tools.text import cut

_LONGEST_PART = 8000
_FINAL = frozenset({Ending.CANCELLED, Ending.WAITING})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt is not good enough: what the agent or the check said, its diff, and what the tests said."""

    attempt: int
    error: str
    diff: str = ""
    tests: str = ""
    tried: tuple[str, ...] = ()

    def patch(self) -> str:
        """A hash of its diff; empty where it changed nothing."""
        return hashlib.sha256(self.diff.encode("utf-8", "surrogateescape")).hexdigest() if self.diff else ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run and what the check said of it; no failure means that it is accepted."""

    result: AgentResult
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Corrected:
    """All attempts in order, and why there was not another one; empty where the last was accepted."""

    attempts: tuple[Attempt, ...]
    gave_up: str = ""

    @property
    def accepted(self) -> AgentResult | None:
        """The accepted run, if one was."""
        return None if self.gave_up else self.attempts[-1].result


Work = Callable[[AgentTask, frozenset[str]], Awaitable[Attempt]]


async def self_correct(work: Work, task: AgentTask, attempts: int) -> Corrected:
    """Work on ``task`` until an attempt is accepted, or another one would not help.

    ``work`` gets the task with what failed so far, and the keys of approaches that tools must refuse; it runs the
    agent on clean files, checks what it did, and says what came of it.
    """
    done: list[Attempt] = []
    failures: list[Failure] = []
    while True:
        attempt = await work(with_failures(task, failures), _tried(failures))
        done.append(attempt)
        if attempt.failure is None:
            return Corrected(tuple(done))
        gave_up = _no_use(attempt, failures, attempts)
        if gave_up:
            return Corrected(tuple(done), gave_up)
        failures.append(attempt.failure)


def _no_use(attempt: Attempt, earlier: Sequence[Failure], attempts: int) -> str:
    """Why another attempt would not help; empty if it may."""
    failure, result = attempt.failure, attempt.result
    if failure is None or result.ending in _FINAL:
        return f"The run ended: {result.seen or result.ending.value}."
    if result.outcome == "no-approach":
        return result.summary or "No approach is left."
    same = [past.attempt for past in earlier if past.patch() and past.patch() == failure.patch()]
    if same:
        return f"Attempt {failure.attempt} made the same patch that failed in attempt {same[0]}."
    known = _tried(earlier)
    if failure.tried and known.issuperset(failure.tried):
        return f"Attempt {failure.attempt} took no approach that was not tried before."
    if len(earlier) + 1 >= attempts:
        return f"All {attempts} attempts failed; the last one: {failure.error}"
    return ""


def _tried(failures: Sequence[Failure]) -> frozenset[str]:
    return frozenset(key for failure in failures for key in failure.tried)


def with_failures(task: AgentTask, failures: Sequence[Failure]) -> AgentTask:
    """The task for the next attempt: as text for language models, as facts for rule-based ones."""
    if not failures:
        return task
    last = failures[-1]
    tried = tuple(dict.fromkeys((*task.facts.tried, *(key for failure in failures for key in failure.tried))))
    facts = replace(task.facts, tried=tried, failure=cut(last.error, _LONGEST_PART))
    return replace(task, attempt=last.attempt + 1, facts=facts, text=f"{task.text}\n\n{_told(failures)}")


def _told(failures: Sequence[Failure]) -> str:
    earlier = [f"Attempt {failure.attempt} failed: {cut(failure.error, 500)}" for failure in failures[:-1]]
    last = failures[-1]
    parts = [
        f"Attempt {last.attempt} failed. Take a different approach; the same one is refused.",
        as_data("error", cut(last.error, _LONGEST_PART)),
        as_data("diff", cut(last.diff, _LONGEST_PART)) if last.diff else "",
        as_data("tests", cut(last.tests, _LONGEST_PART)) if last.tests else "",
        f"Approaches that failed: {', '.join(last.tried)}." if last.tried else "",
    ]
    return "\n\n".join(part for part in (*earlier, *parts) if part)
