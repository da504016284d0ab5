"""Wait for a while or until a moment; minutes or months, for the run ends and a later one goes on."""

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bullpen.flow.definitions.base import Kind, StepResult, StepState, Wait, Work
from bullpen.flow.definitions.model import Duration, Strict
from bullpen.kernel.clock import now
from bullpen.sessions.actions import note_facts
from bullpen.sessions.queries import get_session


def _moment(text: str) -> str:
    """ValueError if it is no ISO 8601 date or time."""
    if text and "${{" not in text:
        _seconds(text)
    return text


def _seconds(text: str) -> float:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


class SleepInputs(Strict):
    """Either ``for`` (a duration) or ``until`` (ISO 8601, UTC unless it says otherwise)."""

    seconds: Duration | None = Field(None, alias="for")
    until: Annotated[str, AfterValidator(_moment)] = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.seconds is None) == (not self.until):
            raise ValueError("name either for (a duration) or until (a moment)")
        return self


async def _run(work: Work, given: SleepInputs) -> StepResult:
    until = await _end(work, given)
    if now() >= until:
        return StepResult(StepState.DONE, f"until {datetime.fromtimestamp(until, UTC).isoformat()}")
    return StepResult(StepState.WAITING, waits=(Wait(work.step, until),))


async def _end(work: Work, given: SleepInputs) -> float:
    """When it ends: fixed when it is asked for the first time."""
    if given.seconds is None:
        return _seconds(given.until)
    name = f"sleep:{work.key}"
    means = work.bench.means
    async with means.database.transaction(means.actor) as uow:
        known = (await get_session(uow, work.session_id)).metadata.get(name)
        if known is None:
            known = repr(now() + given.seconds)
            await note_facts(uow, work.session_id, **{name: known})
    return float(known)


KIND = Kind(SleepInputs, _run, waits=True)
