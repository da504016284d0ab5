"""Checking an automation's file before anything of it is believed: every fault with its line and column."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from bullpen.domain.errors import InvalidInput
from bullpen.domain.money import Money
from bullpen.flow.automation.jobs.base import JOBS, Job
from bullpen.flow.automation.model import Automation, Limits
from bullpen.flow.automation.triggers.base import TRIGGERS, Trigger, TriggerKind
from bullpen.flow.definitions.expressions import Scope, fill_all, functions_in, names_in, parse, templates
from bullpen.flow.definitions.model import Source
from bullpen.kernel.yaml_places import Document, Fault, KeyPath, read_document, refuse
from bullpen.kernel.yaml_shapes import field_names, in_order, shape_faults

CONTEXT = "trigger"
_NAMES = [name for model in (Automation, Limits) for name in field_names(model)]
_ALWAYS = ("kind", "says")


def read_automation(source: Source, *, in_repository: bool) -> Automation:
    """The automation in a file; ``in_repository`` says that the file is kept in the repository it is about.

    Raises:
        InvalidInput: it is faulty; file, line and column of the first fault, and how many there are.
    """
    automation, faults = _checked(read_document(source.text, source.where), in_repository=in_repository)
    if automation is None or faults:
        raise refuse(faults)
    return automation


def faults_of(source: Source, *, in_repository: bool) -> tuple[Fault, ...]:
    """Every fault of a file that is YAML at all; one that is not raises ``InvalidInput``."""
    return _checked(read_document(source.text, source.where), in_repository=in_repository)[1]


def trigger_options(automation: Automation, name: str) -> BaseModel | None:
    """What a sound file says of a kind of trigger; None where it does not name it. To be asked for is always allowed."""
    if name not in automation.on and name != "manual":
        return None
    return TRIGGERS.load(name).options.model_validate(automation.on.get(name, {}))


def job_inputs(automation: Automation, trigger: Trigger) -> BaseModel:
    """What the job is given, with what the trigger told filled in.

    Raises:
        InvalidInput: what came does not fit.
    """
    told = {**trigger.values, "kind": trigger.kind, "says": trigger.says}
    given = fill_all(automation.do[automation.job], Scope({CONTEXT: told}, {}))
    try:
        return JOBS.load(automation.job).inputs.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidInput(
            f"What the trigger told does not fit {automation.job}.{place}: {first['msg']}."
        ) from error


def _checked(document: Document, *, in_repository: bool) -> tuple[Automation | None, tuple[Fault, ...]]:
    data: object = document.data
    if not isinstance(data, dict):
        words = "an automation is written as NAME: VALUE lines, with name, on and do."
        return None, (document.fault((), words),)
    try:
        automation = Automation.model_validate(data)
    except ValidationError as error:
        return None, in_order(shape_faults(document, error, _NAMES))
    faults = (
        *_place_faults(document, automation, in_repository=in_repository),
        *_trigger_faults(document, automation),
        *_job_faults(document, automation),
    )
    return automation, in_order(faults)


def _place_faults(document: Document, automation: Automation, *, in_repository: bool) -> Iterator[Fault]:
    if in_repository and automation.repo:
        words = "a file in a repository is about that repository and names no other."
        yield document.fault(("repo",), words, "Take repo out.")
    if not in_repository and not automation.repo:
        yield document.fault((), "'repo' is missing.", "Add repo: the folder or the git URL it is about.")


def _trigger_faults(document: Document, automation: Automation) -> Iterator[Fault]:
    for name, given in automation.on.items():
        path: KeyPath = ("on", name)
        if name not in TRIGGERS.names():
            yield document.fault(path, f"there is no trigger {name!r}.", _nearest(name, TRIGGERS.names()))
            continue
        yield from _model_faults(document, path, TRIGGERS.load(name).options, given)


def _job_faults(document: Document, automation: Automation) -> Iterator[Fault]:
    name = automation.job
    path: KeyPath = ("do", name)
    if name not in JOBS.names():
        yield document.fault(path, f"there is no job {name!r}.", _nearest(name, JOBS.names()))
        return
    job: Job[Any] = JOBS.load(name)
    yield from _model_faults(document, path, job.inputs, automation.do[name])
    yield from _template_faults(document, path, automation.do[name], _told(automation))
    if Money.parse(automation.limits.budget) != Money() and not job.spends:
        words = f"a budget cannot be held to by the job {name!r}."
        yield document.fault(("limits", "budget"), words, "Take it out.")


def _model_faults(
    document: Document, path: KeyPath, model: type[BaseModel], given: Mapping[str, Any]
) -> Iterator[Fault]:
    try:
        model.model_validate(given)
    except ValidationError as error:
        yield from shape_faults(document, error, field_names(model), path)


def _nearest(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."


def _told(automation: Automation) -> list[str]:
    """What the triggers of a file may tell."""
    kinds: list[TriggerKind[Any, Any]] = [
        TRIGGERS.load(name) for name in (*automation.on, "manual") if name in TRIGGERS.names()
    ]
    return sorted({*_ALWAYS, *(name for kind in kinds for name in kind.payload.model_fields)})


def _template_faults(document: Document, path: KeyPath, value: Any, told: Sequence[str]) -> Iterator[Fault]:
    if isinstance(value, str):
        for text in templates(value):
            words = _expression_fault(text, told)
            if words:
                yield document.fault(path, words, "Mend the expression.")
    elif isinstance(value, Mapping):
        for name, one in cast("Mapping[str, Any]", value).items():
            yield from _template_faults(document, (*path, name), one, told)
    elif isinstance(value, list | tuple):
        for number, one in enumerate(cast("Sequence[Any]", value)):
            yield from _template_faults(document, (*path, number), one, told)


def _expression_fault(text: str, told: Sequence[str]) -> str:
    try:
        node = parse(text)
    except InvalidInput as error:
        return error.sentence
    if unknown := sorted(functions_in(node) & {"success", "failure", "always", "cancelled", "hashfiles"}):
        return f"there is no function {unknown[0]!r} here."
    for names in names_in(node):
        if names[0] != CONTEXT:
            return f"there is no {names[0]!r}; there is: {CONTEXT}."
        if len(names) > 1 and names[1] not in told:
            return f"{'.'.join(names)}: no trigger of this file tells that; there are: {', '.join(told)}."
    return ""
