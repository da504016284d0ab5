"""Aliases, scripts, and history that is serialised once."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.domain.errors import (
    BullpenError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    PermissionRefused,
    Unavailable,
)
from bullpen.models.base import Brief, Delta, Dialogue, Done, PersonTurn, Text, ToolCall
from bullpen.models.history import History
from bullpen.models.providers.scripted import PROVIDER, Scripted, call, fail, read_queue, say
from bullpen.models.registry import Models

BRIEF = Brief("developer", "", "")


@pytest.mark.req("MOD-02")
def test_an_alias_leads_to_a_model() -> None:
    models = Models({"default": "playbook:rules", "smart": "default", "loop": "pool", "pool": "loop"})
    assert (
        models.resolve("") == models.resolve("smart") == models.resolve("playbook:rules") == "playbook:rules"
    )
    assert models.facts("smart").provider == "playbook"
    with pytest.raises(NotFound, match="no model called 'other'; there are: default, loop, pool, smart"):
        models.resolve("other")
    with pytest.raises(InvalidInput, match="points at itself"):
        models.resolve("loop")
    with pytest.raises(NotFound, match="playbook, scripted"):
        models.open("absent:model", BRIEF)


async def test_a_provider_made_in_code_comes_first() -> None:
    models = Models({"default": "scripted:x"}, {"scripted": Scripted.of([say("hello")])})
    first, *_ = [delta async for delta in models.open("default", BRIEF).reply()]
    assert first == Text("hello")


async def replies(file: Path) -> list[list[Delta]]:
    dialogue = PROVIDER.open(str(file), BRIEF)
    return [[delta async for delta in dialogue.reply()] for _ in range(3)]


async def test_a_script_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "queue.json"
    queue = [
        {"text": "a", "calls": [{"tool": "finish", "arguments": {"summary": "x"}}], "cost_micro_usd": 5},
        {"calls": [{"tool": "finish", "arguments": "{broken", "id": "mine"}], "delay": 0.001},
    ]
    file.write_text(json.dumps(queue))
    first, second, third = await replies(file)
    assert first[:2] == [Text("a"), ToolCall("s0.0", "finish", '{"summary": "x"}')]
    assert isinstance(first[2], Done)
    assert first[2].usage.cost.micro_usd == 5
    assert second[0] == ToolCall("mine", "finish", "{broken")
    assert third[0] == Text("I have nothing more to say.")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"text": 1}', "its start"),
        ('[{"txt": "a"}]', "0.txt"),
        ('[{"error": "odd"}]', "0.error"),
        ("[", "its start"),
    ],
)
def test_a_wrong_script_names_the_place(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "queue.json"
    file.write_text(content)
    with pytest.raises(InvalidInput, match=f"wrong at {said}"):
        read_queue(file)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_queue(tmp_path / "absent")


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        ("rate-limit", LimitExceeded),
        ("context", LimitExceeded),
        ("overloaded", Unavailable),
        ("key", PermissionRefused),
        ("cut", Unavailable),
    ],
)
async def test_a_script_can_fail_as_providers_do(failure: str, kind: type[BullpenError]) -> None:
    dialogue = Scripted.of([fail(failure, "I was say"), call("finish", summary="x")]).open("", BRIEF)
    said: list[Delta] = []
    with pytest.raises(kind):
        await collect(dialogue, said)
    assert said == ([Text("I was say")] if failure == "cut" else [])
    await collect(dialogue, said)
    assert isinstance(said[-2], ToolCall)


async def collect(dialogue: Dialogue, said: list[Delta]) -> None:
    """Add the deltas of the next reply to ``said``, as far as they come."""
    async for delta in dialogue.reply():
        said.append(delta)  # noqa: PERF401 - what came before an error counts


async def test_a_script_remembers_what_it_was_shown() -> None:
    dialogue = Scripted.of([]).open("", BRIEF)
    dialogue.add(PersonTurn("é\udce9"))
    assert json.loads(dialogue.shown.body({})) == {"messages": [{"kind": "PersonTurn", "text": "é\udce9"}]}


VALUES = st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers() | st.none(), max_size=4)


@pytest.mark.req("MOD-11")
@given(st.lists(VALUES, max_size=8), VALUES)
def test_a_body_is_what_serialising_all_of_it_gives(
    messages: list[dict[str, object]], settings: dict[str, object]
) -> None:
    settings.pop("messages", None)
    history = History()
    for count, message in enumerate(messages):
        assert len(history) == count
        history.add(message)
    assert json.loads(history.body(settings)) == {**settings, "messages": messages}
