"""Streams of coding assistants as they may come: cut, garbled, with numbers that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.stand_ins import STREAMS

from bullpen.agents.base import Used
from bullpen.agents.coding_clis.base import Ask, cost_in
from bullpen.agents.kinds.coding_cli import ADAPTERS
from bullpen.domain.errors import InvalidInput
from bullpen.domain.money import Money

ASK = Ask("Do $(it) 'now'\n", "m", "http://127.0.0.1:8411", "bullpen-token", "/opt/files")
NAMES = sorted(STREAMS)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "message",
                    "usage",
                    "part",
                    "item",
                    "content",
                    "tokens",
                    "stats",
                    "id",
                    "text",
                    "result",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
TYPES = (
    "assistant",
    "result",
    "item.completed",
    "turn.completed",
    "message",
    "tool_use",
    "text",
    "step_finish",
    "error",
)


@pytest.mark.parametrize("name", NAMES)
def test_the_prompt_never_is_an_argument(name: str) -> None:
    launch = ADAPTERS.load(name).launch(ASK)
    assert launch.stdin.decode() == ASK.prompt
    assert not any("$(it)" in word for word in (*launch.arguments, *launch.env.values()))


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_that_is_cut_has_no_last_word(name: str) -> None:
    listener = ADAPTERS.load(name).listen()
    lines = STREAMS[name]["DO"][: 1 if name == "opencode" else 2]
    assert all((listener.hear(line.encode()) or object()) is not None for line in lines)
    assert listener.end() is None


@pytest.mark.parametrize("name", NAMES)
@given(event=st.dictionaries(st.text(max_size=5), json_values, max_size=4), kind=st.sampled_from(TYPES))
def test_no_object_breaks_a_reader(name: str, event: dict[str, object], kind: str) -> None:
    import json

    heard = ADAPTERS.load(name).listen().hear(json.dumps({**event, "type": kind}).encode())
    used = heard.used if heard else Used()
    assert used.input_tokens >= 0
    assert used.output_tokens >= 0
    assert used.cost >= Money()


@pytest.mark.parametrize("name", NAMES)
@given(line=st.binary(max_size=80))
def test_no_bytes_break_a_reader(name: str, line: bytes) -> None:
    listener = ADAPTERS.load(name).listen()
    if name == "aider" or line.strip().startswith(b"{"):
        try:
            listener.hear(line)
        except InvalidInput:
            return
    else:
        with pytest.raises(InvalidInput):
            listener.hear(line)


def test_one_message_of_claude_in_two_lines_counts_once() -> None:
    listener = ADAPTERS.load("claude_code").listen()
    heard = [listener.hear(line.encode()) for line in STREAMS["claude_code"]["DO"]]
    assert sum(one.used.input_tokens for one in heard if one) == 34


@pytest.mark.parametrize("value", [True, -1, "x", None, float("nan"), float("inf"), [], 10**30])
def test_a_cost_that_is_none_is_nothing(value: object) -> None:
    assert cost_in({"cost": value}, "cost") == Money()


def test_a_cost_is_rounded_up() -> None:
    assert cost_in({"cost": 0.0000001}, "cost") == Money(1)
