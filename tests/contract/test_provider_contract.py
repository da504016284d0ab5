"""What every provider of models promises."""

import json
from pathlib import Path

import pytest

from bullpen.models.base import (
    AssistantTurn,
    Brief,
    Delta,
    Dialogue,
    Done,
    Provider,
    Text,
    ToolCall,
    ToolResult,
)
from bullpen.models.facts import Facts
from bullpen.models.registry import PROVIDERS

FACTS = Facts("a.py", (1, 2), ("demo:EQ",), recipes=("one", "two")).to_mapping()


@pytest.fixture(params=PROVIDERS.names())
def provider(request: pytest.FixtureRequest) -> Provider:
    return PROVIDERS.load(request.param)


@pytest.fixture
def model(provider: Provider, tmp_path: Path) -> str:
    if provider.name != "scripted":
        return "rules"
    script = tmp_path / "queue.json"
    calls = [{"calls": [{"tool": "apply_recipe", "arguments": {"number": number}}]} for number in range(9)]
    script.write_text(json.dumps(calls))
    return str(script)


def opened(provider: Provider, model: str) -> Dialogue:
    return provider.open(model, Brief("developer", "Work.", "Mend it.", FACTS))


async def deltas(dialogue: Dialogue) -> list[Delta]:
    return [delta async for delta in dialogue.reply()]


def answer(dialogue: Dialogue, reply: list[Delta], number: int) -> None:
    calls = tuple(delta for delta in reply if isinstance(delta, ToolCall))
    dialogue.add(AssistantTurn("".join(d.text for d in reply if isinstance(d, Text)), calls))
    for call in calls:
        dialogue.add(ToolResult(call.id, call.tool, json.dumps({"error": f"no {number}"}), ok=False))


@pytest.mark.req("MOD-01")
async def test_facts_name_the_provider_and_the_model(provider: Provider, model: str) -> None:
    facts = provider.facts(model)
    assert (facts.provider, facts.model) == (provider.name, model)
    assert facts.version
    assert facts.context_tokens > 0


async def test_a_reply_ends_with_done_and_holds_whole_calls(provider: Provider, model: str) -> None:
    dialogue = opened(provider, model)
    for number in range(6):
        reply = await deltas(dialogue)
        assert isinstance(reply[-1], Done)
        assert not any(isinstance(delta, Done) for delta in reply[:-1])
        for call in (delta for delta in reply if isinstance(delta, ToolCall)):
            assert isinstance(json.loads(call.arguments), dict)
        answer(dialogue, reply, number)


@pytest.mark.parametrize("told", range(5))
async def test_a_dialogue_that_is_told_its_past_goes_on_from_there(
    provider: Provider, model: str, told: int
) -> None:
    live, rebuilt = opened(provider, model), opened(provider, model)
    for number in range(told):
        reply = await deltas(live)
        answer(live, reply, number)
        answer(rebuilt, reply, number)
    assert await deltas(rebuilt) == await deltas(live)


async def test_two_dialogues_do_not_meet(provider: Provider, model: str) -> None:
    one, other = opened(provider, model), opened(provider, model)
    first = await deltas(one)
    answer(one, first, 0)
    await deltas(one)
    assert await deltas(other) == first
