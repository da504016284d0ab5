"""What every kind of step must do: say what it is, refuse what it does not know, and be usable in a sound workflow."""

import pytest
import yaml
from pydantic import BaseModel

from bullpen.flow.definitions.base import KINDS, Kind, kind_named
from bullpen.flow.definitions.check import faults_of
from bullpen.flow.definitions.model import Source

EXAMPLES: dict[str, dict[str, object]] = {
    "agent": {"role": "reviewer", "text": "Look."},
    "approval": {"question": "Go on?"},
    "command": {"argv": ["true"]},
    "gate": {},
    "note": {"text": "Hello."},
    "sleep": {"for": "1d"},
    "tests": {},
    "workflow": {"name": "other"},
}

every_kind = pytest.mark.parametrize("name", KINDS.names())


def faults(step: dict[str, object]) -> list[str]:
    text = yaml.safe_dump({"name": "x", "version": 1, "steps": [{"id": "a", **step}]})
    return [one.sentence for one in faults_of(Source("x", "x.yaml", text))]


@pytest.mark.req("WFL-02")
@every_kind
def test_it_is_a_kind_with_strict_inputs(name: str) -> None:
    kind = kind_named(name)
    assert isinstance(kind, Kind)
    assert issubclass(kind.inputs, BaseModel)
    assert kind.inputs.model_config.get("extra") == "forbid"
    assert kind.inputs.__doc__
    assert KINDS.summary(name)


@every_kind
def test_its_example_is_sound_and_an_unknown_input_is_not(name: str) -> None:
    assert faults({"kind": name, "with": EXAMPLES[name]}) == []
    found = faults({"kind": name, "with": {**EXAMPLES[name], "nonsense": 1}})
    assert [one for one in found if "'nonsense'" in one]


@every_kind
def test_only_one_that_never_waits_may_take_something_back(name: str) -> None:
    found = faults(
        {"kind": "note", "with": {"text": "x"}, "on_failure": [{"kind": name, "with": EXAMPLES[name]}]}
    )
    assert bool(found) is kind_named(name).waits
