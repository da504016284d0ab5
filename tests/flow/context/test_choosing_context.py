"""What goes into a window: chosen under a budget with reasons; old turns become a summary with references."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.flow.context.choose import Candidate, Kind, choose
from bullpen.flow.context.compact import compact
from bullpen.flow.context.tokens import estimate_tokens, message_tokens
from bullpen.flow.context.window import WindowedDialogue, windowed
from bullpen.models.base import (
    AssistantTurn,
    Brief,
    Delta,
    Dialogue,
    Done,
    Message,
    ModelFacts,
    PersonTurn,
    Stop,
    ToolCall,
    ToolResult,
)
from bullpen.models.registry import Models

candidates = st.lists(
    st.builds(
        Candidate, st.sampled_from(Kind), st.text(max_size=60), st.just("why"), st.floats(-5, 5), st.text(max_size=3)
    ),
    max_size=20,
)  # fmt: skip


@pytest.mark.req("SES-04")
@given(some=candidates, budget=st.integers(0, 200))
def test_whatever_there_is_the_budget_holds_and_what_stays_stays(some: list[Candidate], budget: int) -> None:
    window = choose(some, budget)
    assert len(window.chosen) + len(window.left) == len(some)
    assert window.tokens == sum(piece.tokens for piece in window.chosen)
    texts = {piece.candidate.text for piece in window.chosen}
    assert all(one.text in texts for one in some if one.stays)
    if not all(piece.candidate.stays for piece in window.chosen):
        assert window.tokens <= budget
    assert all(piece.reason for piece in (*window.chosen, *window.left))
    assert choose(some, budget) == window
    # what was left would not have fitted beside those that are worth as much or more
    for piece in window.left:
        if piece.candidate.text not in texts:
            better = [
                one
                for one in window.chosen
                if one.candidate.stays or one.candidate.priority >= piece.candidate.priority
            ]
            assert sum(one.tokens for one in better) + piece.tokens > budget


@pytest.mark.req("SES-04")
def test_the_order_of_the_window_and_the_reasons() -> None:
    window = choose(
        [
            Candidate(Kind.CODE, "c" * 30, "is imported", 5.0, "a.py"),
            Candidate(Kind.MEMORY, "m" * 30, "same rule", 9.0),
            Candidate(Kind.CODE, "d" * 300, "is near", 7.0),
            Candidate(Kind.PINNED, "p" * 30, "pinned"),
            Candidate(Kind.MEMORY, "m" * 30, "same words", 1.0),
            Candidate(Kind.GOAL, "g" * 30, "the goal"),
        ],
        budget=45,
    )
    assert [piece.candidate.text[0] for piece in window.chosen] == ["g", "p", "m", "c"]
    assert [(piece.candidate.why, piece.reason) for piece in window.left] == [
        ("is near", "takes 100 tokens, 15 are free"),
        ("same words", "the same words are there already"),
    ]
    assert window.text().startswith("g" * 30 + "\n\n" + "p" * 30)


@pytest.mark.req("SES-04")
def test_pinned_pieces_are_not_dropped_by_a_budget_that_is_too_small() -> None:
    window = choose(
        [Candidate(Kind.PINNED, "p" * 90, "pinned"), Candidate(Kind.CODE, "c", "near", 9.0)], budget=10
    )
    assert [piece.candidate.kind for piece in window.chosen] == [Kind.PINNED]
    assert window.is_over
    assert window.left[0].reason == "takes 1 tokens, 0 are free"


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abcdef", 2), ("é" * 3, 2), ("\udce9", 1)])
def test_the_estimate(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


# --- compaction -------------------------------------------------------------------------------------------------------


def step(number: int, size: int = 300) -> list[Message]:
    call = ToolCall(f"c{number}", "read_file", f'{{"path": "src/m{number}.py"}}')
    return [
        AssistantTurn(f"I look at {number}.", (call,)),
        ToolResult(call.id, "read_file", f"{number} " * size),
    ]


def turns(count: int, size: int = 300) -> list[Message]:
    return [message for number in range(count) for message in step(number, size)]


@pytest.mark.req("SES-04")
def test_old_steps_are_told_with_references_and_new_ones_kept_whole() -> None:
    some = turns(6)
    compacted = compact(some, 2_000)
    assert compacted.kept == tuple(some[-2 * (6 - compacted.steps) :])
    assert 0 < compacted.steps < 6
    digest = hashlib.sha256(("0 " * 300).encode()).hexdigest()
    assert compacted.references[0].sha256 == digest
    assert f"[c0 read_file src/m0.py sha256:{digest[:12]}]" in compacted.summary
    assert "you said: I look at 0." in compacted.summary


messages = st.lists(
    st.one_of(
        st.builds(
            AssistantTurn,
            st.text(max_size=50),
            st.lists(
                st.builds(ToolCall, st.text(max_size=3), st.just("t"), st.text(max_size=30)), max_size=2
            ).map(tuple),
        ),
        st.builds(ToolResult, st.text(max_size=3), st.just("t"), st.text(max_size=80), st.booleans()),
        st.builds(PersonTurn, st.text(max_size=50)),
    ),
    max_size=30,
)


@pytest.mark.req("SES-04")
@given(some=messages, budget=st.integers(1, 600))
def test_whatever_was_said_no_step_is_parted_and_no_reference_lost(some: list[Message], budget: int) -> None:
    compacted = compact(some, budget)
    old = some[: len(some) - len(compacted.kept)]
    assert (*old, *compacted.kept) == tuple(some)
    assert not compacted.kept or not old or isinstance(compacted.kept[0], AssistantTurn)
    assert len(compacted.references) == sum(isinstance(one, ToolResult) for one in old)
    assert bool(compacted.summary) == bool(old)
    if some:
        assert compacted.kept  # the last step always stays


# --- the seam to the loop ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Recording:
    """A dialogue that says what it was told."""

    brief: Brief
    told: list[Message] = field(default_factory=list[Message])

    def add(self, message: Message) -> None:
        self.told.append(message)

    async def reply(self) -> AsyncIterator[Delta]:
        yield Done(Stop.END)


@dataclass(slots=True)
class Small:
    """A provider of models that read history, in a window that is given."""

    window: int
    name: str = "small"
    opened: list[Recording] = field(default_factory=list[Recording])

    def facts(self, model: str) -> ModelFacts:
        return ModelFacts(self.name, model, "1", self.window)

    def open(self, model: str, brief: Brief) -> Dialogue:
        self.opened.append(Recording(brief))
        return self.opened[-1]


BRIEF = Brief("developer", "Mend it.", "The task.")


async def told(dialogue: Dialogue, some: Sequence[Message]) -> None:
    for message in some:
        dialogue.add(message)
        if isinstance(message, ToolResult):
            async for _ in dialogue.reply():
                pass


@pytest.mark.req("SES-04")
async def test_a_long_dialogue_keeps_within_its_window() -> None:
    provider = Small(4_000)
    dialogue = windowed(Models({}, {"small": provider})).open("small:m", BRIEF)
    some = turns(60)
    await told(dialogue, some)
    assert isinstance(dialogue, WindowedDialogue)
    assert 3 <= dialogue.compactions < 30  # and not at every step
    newest = provider.opened[-1]
    size = estimate_tokens(newest.brief.task) + sum(message_tokens(one) for one in newest.told)
    assert size <= 4_000
    assert newest.brief.task.startswith("The task.\n\nWhat happened before")
    assert newest.brief.task.count("What happened before") == 1
    assert newest.told[-1] == some[-1]
    assert "src/m5" in newest.brief.task  # the newest of what was dropped is named


@pytest.mark.req("SES-04")
async def test_a_short_dialogue_and_a_model_that_keeps_its_place_are_left_alone() -> None:
    provider = Small(1_000_000)
    await told(windowed(Models({}, {"small": provider})).open("small:m", BRIEF), turns(30))
    (only,) = provider.opened
    assert (only.brief, only.told) == (BRIEF, turns(30))
    playbook = windowed(Models()).open("default", BRIEF)
    assert type(playbook) is type(Models().open("default", BRIEF))
