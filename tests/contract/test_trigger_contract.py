"""What every kind of trigger must do: know its shape, refuse another one, and tell the same thing with the same key."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from bullpen.domain.errors import InvalidInput
from bullpen.flow.automation.check import faults_of
from bullpen.flow.automation.records import TRIGGER
from bullpen.flow.automation.triggers.base import TRIGGERS, TriggerKind, Watch, read_payload
from bullpen.flow.definitions.model import Source
from bullpen.kernel.json_text import dump, load

pytestmark = pytest.mark.req("SES-07")
SHA = "a" * 40
START = 1_800_000_000.0
EXAMPLES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "alert": ({"names": ["disk*"]}, {"name": "disk full", "fingerprint": "f", "started": "2026-01-01"}),
    "label": ({"labels": ["bug"]}, {"repository": "o/r", "number": 1, "label": "bug"}),
    "manual": ({}, {"request": "r"}),
    "push": ({"branches": ["main"]}, {"branch": "main", "after": SHA}),
    "schedule": ({"cron": "0 3 * * *"}, {"at": "2026-01-01T03:00:00Z"}),
}
every_kind = pytest.mark.parametrize("name", TRIGGERS.names())


def faults(name: str, options: object) -> list[str]:
    text = yaml.safe_dump({"name": "x", "on": {name: options}, "do": {"roast": {}}})
    return [one.sentence for one in faults_of(Source("x", "x.yaml", text), in_repository=True)]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    subprocess.run(("git", "init", "-q", tmp_path / "r"), check=True)
    return tmp_path / "r"


@every_kind
def test_it_is_a_kind_whose_shapes_are_strict(name: str) -> None:
    kind = TRIGGERS.load(name)
    assert isinstance(kind, TriggerKind)
    for model in (kind.options, kind.payload):
        assert issubclass(model, BaseModel)
        assert model.model_config.get("extra") == "forbid"
        assert model.model_config.get("frozen") is True
        assert model.__doc__
    assert TRIGGERS.summary(name)


@every_kind
def test_its_example_is_sound_and_an_unknown_option_is_not(name: str) -> None:
    options, _ = EXAMPLES[name]
    assert faults(name, options) == []
    assert [one for one in faults(name, {**options, "nonsense": 1}) if "'nonsense'" in one]


@every_kind
def test_what_arrives_answers_its_options_and_comes_back_from_the_database(name: str) -> None:
    kind = TRIGGERS.load(name)
    options, payload = EXAMPLES[name]
    read = read_payload(kind, name, json.loads(json.dumps(payload)))
    assert kind.objection(kind.options.model_validate(options), read) == ""
    trigger = kind.trigger(name, read)
    assert trigger.key.startswith(f"{name}:")
    assert trigger.says
    assert load(TRIGGER, dump(TRIGGER, trigger)) == trigger


@every_kind
def test_the_same_thing_has_the_same_key(name: str) -> None:
    kind, payload = TRIGGERS.load(name), EXAMPLES[name][1]
    assert kind.key(read_payload(kind, name, payload)) == kind.key(read_payload(kind, name, dict(payload)))


@every_kind
@pytest.mark.parametrize("data", [None, [], "text", 3, {"nonsense": 1}, {"at": {"deep": []}}])
def test_what_is_no_payload_is_refused_in_words(name: str, data: object) -> None:
    with pytest.raises(InvalidInput, match=f"no payload of the trigger '{name}'"):
        read_payload(TRIGGERS.load(name), name, data)


@every_kind
async def test_only_a_look_that_found_something_new_tells_it(name: str, repo: Path, tmp_path: Path) -> None:
    """The first look tells nothing: what was there before somebody asked is not news."""
    kind = TRIGGERS.load(name)
    if kind.look is None:
        assert kind.next_at is None
        assert kind.first is None
        return
    options = kind.options.model_validate(EXAMPLES[name][0])
    memory, told = kind.first(START) if kind.first else "", list[object]()
    for second in range(3):
        look = await kind.look(Watch(str(repo), tmp_path, START + second), options, memory)
        memory = look.memory
        told.extend(look.found)
    assert told == []
    assert memory
