"""Checking a workflow file before anything of it runs: every fault with its line and column."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from typing import Any, cast

from pydantic import ValidationError

from bullpen.domain.errors import InvalidInput
from bullpen.flow.definitions.base import KINDS, kind_named
from bullpen.flow.definitions.expressions import (
    STATUS_FUNCTIONS,
    Scope,
    evaluate,
    functions_in,
    names_in,
    parse,
    templates,
    truth,
)
from bullpen.flow.definitions.model import Definition, Retry, SendBack, Source, Step, Undo
from bullpen.flow.gates import parse_gates
from bullpen.kernel.yaml_places import Document, Fault, KeyPath, read_document, refuse
from bullpen.kernel.yaml_shapes import field_names, in_order, shape_faults
from bullpen.kernel.yaml_text import read_yaml

_NAMES = [name for one in (Definition, Step, Undo, Retry, SendBack) for name in field_names(one)]
CONTEXTS = ("params", "steps", "run", "missing")


def read_definition(source: Source) -> Definition:
    """The definition in a file.

    Raises:
        InvalidInput: it is faulty; file, line and column of the first fault, and how many there are.
    """
    document = read_document(source.text, source.where)
    definition, faults = _checked(document)
    if definition is None or faults:
        raise refuse(faults)
    return definition


def faults_of(source: Source) -> tuple[Fault, ...]:
    """Every fault of a file that is YAML at all; one that is not raises ``InvalidInput``."""
    return _checked(read_document(source.text, source.where))[1]


def _checked(document: Document) -> tuple[Definition | None, tuple[Fault, ...]]:
    data: object = document.data
    if not isinstance(data, dict):
        return None, (document.fault((), "a workflow is written as NAME: VALUE lines, with name and steps."),)
    try:
        definition = Definition.model_validate(data)
    except ValidationError as error:
        return None, in_order(shape_faults(document, error, _NAMES))
    return definition, in_order((*_graph_faults(document, definition), *_step_faults(document, definition)))


# --- the graph --------------------------------------------------------------------------------------------------------


def _graph_faults(document: Document, definition: Definition) -> Iterator[Fault]:
    known = [one.id for one in definition.steps]
    for number, step in enumerate(definition.steps):
        if step.id in known[:number]:
            words = f"the step {step.id!r} is there twice."
            yield document.fault(("steps", number, "id"), words, "Give it another id.")
        yield from _need_faults(document, number, step, known)
    cycle = _cycle(definition)
    if cycle:
        yield from _cycle_faults(document, definition, cycle)
        return
    for number, step in enumerate(definition.steps):
        if step.send_back and step.send_back.to not in definition.ancestors(step.id):
            words = f"{step.id!r} cannot send back to {step.send_back.to!r}, which is not a step before it."
            yield document.fault(("steps", number, "send_back", "to"), words, "Name a step it needs.")


def _need_faults(document: Document, number: int, step: Step, known: Sequence[str]) -> Iterator[Fault]:
    for position, need in enumerate(step.needs):
        if need not in known:
            near = get_close_matches(need, known, n=1)
            remedy = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
            yield document.fault(("steps", number, "needs", position), f"there is no step {need!r}.", remedy)


def _cycle(definition: Definition) -> list[str]:
    known = {one.id: one.needs for one in definition.steps}
    try:
        TopologicalSorter({name: [n for n in needs if n in known] for name, needs in known.items()}).prepare()
    except CycleError as error:
        return list(reversed(cast("list[str]", error.args[1])))
    return []


def _cycle_faults(document: Document, definition: Definition, cycle: Sequence[str]) -> Iterator[Fault]:
    number = next(at for at, one in enumerate(definition.steps) if one.id in cycle)
    words = f"these steps wait for each other: {' → '.join(cycle)}."
    yield document.fault(("steps", number, "needs"), words, "Take one of these needs out.")
    for at, step in enumerate(definition.steps):
        if step.id not in cycle and definition.ancestors(step.id) & set(cycle):
            words = f"the step {step.id!r} can never be reached: it comes after a circle."
            yield document.fault(("steps", at, "needs"), words, "Break the circle before it.")


# --- steps ------------------------------------------------------------------------------------------------------------


def _step_faults(document: Document, definition: Definition) -> Iterator[Fault]:
    for number, step in enumerate(definition.steps):
        path: KeyPath = ("steps", number)
        yield from _kind_faults(document, path, step)
        yield from _when_faults(document, (*path, "when"), step, definition)
        yield from _gate_faults(document, (*path, "gate"), step.gate)
        yield from _template_faults(document, (*path, "with"), step.given, step, definition)
        for position, undo in enumerate(step.on_failure):
            inner: KeyPath = (*path, "on_failure", position)
            yield from _kind_faults(document, inner, undo)
            yield from _template_faults(document, (*inner, "with"), undo.given, step, definition)


def _kind_faults(document: Document, path: KeyPath, step: Step | Undo) -> Iterator[Fault]:
    if step.kind not in KINDS.names():
        near = get_close_matches(step.kind, KINDS.names(), n=1)
        remedy = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(KINDS.names())}."
        yield document.fault((*path, "kind"), f"there is no kind of step {step.kind!r}.", remedy)
        return
    kind = kind_named(step.kind)
    if kind.waits and isinstance(step, Undo):
        words = f"a step of the kind {step.kind!r} may wait, so it cannot take anything back."
        yield document.fault((*path, "kind"), words, "Use a command.")
    try:
        kind.inputs.model_validate(step.given)
    except ValidationError as error:
        yield from shape_faults(document, error, field_names(kind.inputs), (*path, "with"))


def _when_faults(document: Document, path: KeyPath, step: Step, definition: Definition) -> Iterator[Fault]:
    if not step.when:
        return
    yield from _expression_faults(document, path, step.when, step, definition)
    try:
        node = parse(step.when)
        unknown = functions_in(node) - STATUS_FUNCTIONS
        constant = not any(True for _ in names_in(node)) and not functions_in(node)
        if constant and not unknown and not truth(evaluate(node, Scope({}, {}))):
            yield document.fault(path, f"the step {step.id!r} can never run.", "Mend its condition.")
    except InvalidInput:
        return  # said above


def _gate_faults(document: Document, path: KeyPath, gate: Mapping[str, Any]) -> Iterator[Fault]:
    for name, condition in gate.items():
        try:
            (found,) = parse_gates(gate_text({name: condition}), "gate")
        except InvalidInput as error:
            yield document.fault((*path, name), error.sentence.split(": ", 1)[-1], error.remedy)
            continue
        if found.command:
            words = f"{name!r}: a command is a step of its own."
            yield document.fault(
                (*path, name), words, "Use a step of the kind command, and gate its exit_status."
            )


def gate_text(gate: Mapping[str, Any]) -> str:
    """Conditions as the text of a gate file."""
    import yaml

    text = yaml.safe_dump(dict(gate), sort_keys=False)
    read_yaml(text)
    return text


def _template_faults(
    document: Document, path: KeyPath, value: Any, step: Step, definition: Definition
) -> Iterator[Fault]:
    if isinstance(value, str):
        for expression in templates(value):
            yield from _expression_faults(document, path, expression, step, definition)
    elif isinstance(value, Mapping):
        for name, one in cast("Mapping[str, Any]", value).items():
            yield from _template_faults(document, (*path, name), one, step, definition)
    elif isinstance(value, list | tuple):
        for number, one in enumerate(cast("Sequence[Any]", value)):
            yield from _template_faults(document, (*path, number), one, step, definition)


def _expression_faults(
    document: Document, path: KeyPath, text: str, step: Step, definition: Definition
) -> Iterator[Fault]:
    try:
        node = parse(text)
    except InvalidInput as error:
        yield document.fault(path, error.sentence, "Mend the expression.")
        return
    for names in names_in(node):
        words = _unknown_name(names, step, definition)
        if words:
            yield document.fault(path, f"{'.'.join(names)}: {words}", "Mend the name.")


def _unknown_name(names: tuple[str, ...], step: Step, definition: Definition) -> str:
    context, inner = names[0], names[1] if len(names) > 1 else ""
    if context not in CONTEXTS:
        return f"there is no {context!r}; there are: {', '.join(CONTEXTS)}."
    if context == "params" and inner not in definition.params:
        return f"the workflow has no param {inner!r}."
    if context == "steps" and inner not in definition.ancestors(step.id):
        return f"{inner!r} is not a step before {step.id!r}; name it in its needs."
    return ""
