"""Say something in the record of the run; nothing else happens."""

from bullpen.flow.definitions.base import Kind, StepResult, StepState, Work
from bullpen.flow.definitions.model import Strict


class NoteInputs(Strict):
    """``text`` is what is said."""

    text: str


async def _run(_work: Work, given: NoteInputs) -> StepResult:
    return StepResult(StepState.DONE, given.text)


KIND = Kind(NoteInputs, _run)
