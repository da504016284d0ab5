"""Hold what earlier steps measured against conditions, and do nothing else; the conditions stand in the step's ``gate``."""

from bullpen.flow.definitions.base import Kind, StepResult, StepState, Work
from bullpen.flow.definitions.model import Strict


class GateInputs(Strict):
    """Nothing is asked: the runner evaluates the ``gate`` of every step."""


async def _run(work: Work, _given: GateInputs) -> StepResult:
    return StepResult(StepState.DONE, f"{len(work.measured)} measurements")


KIND = Kind(GateInputs, _run)
