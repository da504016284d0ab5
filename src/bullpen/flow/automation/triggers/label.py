"""When an issue or a pull request is given a label."""

from typing import Annotated

from pydantic import Field

from bullpen.flow.automation.triggers.base import Glob, Line, TriggerKind, Word, any_matches
from bullpen.flow.definitions.model import Strict


class LabelOptions(Strict):
    """``labels`` are patterns, one of which must match; ``repositories`` likewise, where they are named."""

    labels: Annotated[tuple[Glob, ...], Field(min_length=1, max_length=50)]
    repositories: tuple[Glob, ...] = ()


class LabelPayload(Strict):
    """A label that was added. ``delivery`` is the forge's own number of the message, the same when it is sent again;
    without one, a label of an issue begins one run.
    """

    repository: Word
    number: Annotated[int, Field(ge=1)]
    label: Word
    title: Line = ""
    url: Line = ""
    by: Line = ""
    delivery: Annotated[str, Field(max_length=200)] = ""


def _objection(options: LabelOptions, payload: LabelPayload) -> str:
    if not any_matches(options.repositories, payload.repository):
        return f"the repository {payload.repository!r} is not meant"
    return "" if any_matches(options.labels, payload.label) else f"the label {payload.label!r} is not meant"


def _key(payload: LabelPayload) -> str:
    return payload.delivery or f"{payload.repository}#{payload.number}:{payload.label}"


def _says(payload: LabelPayload) -> str:
    return f"{payload.repository}#{payload.number} was labelled {payload.label}"


TRIGGER = TriggerKind(LabelOptions, LabelPayload, _objection, _key, _says)
