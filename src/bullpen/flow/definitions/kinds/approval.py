"""Ask a person, and go on with the answer: approved is done, denied or too late is failed."""

from typing import Annotated

from pydantic import Field

from bullpen.domain.ids import ApprovalId, derived_id
from bullpen.flow.definitions.base import Kind, StepResult, StepState, Wait, Work
from bullpen.flow.definitions.model import Duration, Strict
from bullpen.kernel.clock import now
from bullpen.work.actions.approvals import ask_approval
from bullpen.work.queries import Approval, list_approvals

MONTH = 30 * 86_400.0


class ApprovalInputs(Strict):
    """``question`` is put to people; no answer ``within`` that time is a no. ``by`` says who should answer, in words."""

    question: Annotated[str, Field(min_length=1)]
    by: str = "a person"
    within: Duration = MONTH
    risk: str = "production"


async def _run(work: Work, given: ApprovalInputs) -> StepResult:
    asked = await _ask(work, given)
    if asked.answer == "approved":
        return StepResult(StepState.DONE, f"approved by {asked.answered_by}")
    if asked.answer != "pending":
        return StepResult(StepState.FAILED, reason=f"{given.question} It was {asked.answer}.")
    if now() > asked.deadline:
        return StepResult(StepState.FAILED, reason=f"{given.question} Nobody answered in time.")
    return StepResult(StepState.WAITING, waits=(Wait(work.step, asked.deadline, asked.id),))


async def _ask(work: Work, given: ApprovalInputs) -> Approval:
    """The question as it stands; asked the first time only."""
    approval = ApprovalId(derived_id("apr", work.session_id, work.key))
    means = work.bench.means
    async with means.database.transaction(means.actor) as uow:
        await ask_approval(
            uow,
            work.session_id,
            approval,
            subject=f"workflow step {work.step}",
            risk=given.risk,
            reason=f"{given.question} (for {given.by})",
            deadline=now() + given.within,
        )
        return next(one for one in await list_approvals(uow, work.session_id) if one.id == approval)


KIND = Kind(ApprovalInputs, _run, waits=True)
