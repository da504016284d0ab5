"""When something that is watched raises an alert."""

from typing import Annotated, Literal

from pydantic import Field

from bullpen.flow.automation.triggers.base import Glob, Line, TriggerKind, Word, any_matches
from bullpen.flow.definitions.model import Strict

Severity = Literal["info", "warning", "critical"]


class AlertOptions(Strict):
    """``names`` and ``sources`` are patterns, ``severities`` a choice; what is not named is not asked about."""

    names: tuple[Glob, ...] = ()
    sources: tuple[Glob, ...] = ()
    severities: tuple[Severity, ...] = ()


class AlertPayload(Strict):
    """An alert. ``fingerprint`` is the same while it is about the same thing, ``started`` names when it began:
    together they begin one run.
    """

    name: Word
    severity: Severity = "warning"
    source: Line = ""
    summary: Line = ""
    fingerprint: Annotated[str, Field(max_length=200)] = ""
    started: Annotated[str, Field(max_length=60)] = ""


def _objection(options: AlertOptions, payload: AlertPayload) -> str:
    if not any_matches(options.names, payload.name):
        return f"the alert {payload.name!r} is not meant"
    if not any_matches(options.sources, payload.source):
        return f"the source {payload.source!r} is not meant"
    meant = not options.severities or payload.severity in options.severities
    return "" if meant else f"the severity {payload.severity} is not meant"


def _key(payload: AlertPayload) -> str:
    return f"{payload.fingerprint or f'{payload.source}/{payload.name}'}@{payload.started}"


def _says(payload: AlertPayload) -> str:
    return f"the alert {payload.name} ({payload.severity}){': ' + payload.summary if payload.summary else ''}"


TRIGGER = TriggerKind(AlertOptions, AlertPayload, _objection, _key, _says)
