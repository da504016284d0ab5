"""When somebody asks for it: a person at the command line, or a program."""

import secrets
from typing import Annotated

from pydantic import Field

from bullpen.flow.automation.triggers.base import Line, Nothing, TriggerKind
from bullpen.flow.definitions.model import Strict


class ManualPayload(Strict):
    """``request`` names what is asked: asking twice with the same name begins one run. ``note`` says why."""

    request: Annotated[str, Field(default_factory=lambda: secrets.token_hex(8), min_length=1, max_length=200)]
    note: Line = ""


def _objection(_options: Nothing, _payload: ManualPayload) -> str:
    return ""


def _says(payload: ManualPayload) -> str:
    return f"it was asked for: {payload.note}" if payload.note else "it was asked for"


TRIGGER = TriggerKind(Nothing, ManualPayload, _objection, lambda one: one.request, _says)
