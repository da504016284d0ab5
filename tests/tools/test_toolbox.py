"""How a call goes: checked, asked for, run, redacted, recorded."""

import asyncio
import json
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bullpen.domain.errors import InvalidInput, NotFound
from bullpen.domain.events.agent import NoteTaken, ToolFinished, ToolRefused, ToolStarted
from bullpen.kernel.redaction import Redactor
from bullpen.models.base import ToolCall
from bullpen.tools.base import AnyText, Risk, ToolContext, tool
from bullpen.tools.policy import Rule, decide
from bullpen.tools.toolbox import (
    LONGEST_ARGUMENTS,
    LONGEST_RESULT,
    Answer,
    Approval,
    AwaitsApproval,
    Toolbox,
    every_tool,
    tools_named,
)


@dataclass(frozen=True, slots=True)
class Echoed:
    """What was said."""

    text: str
    parts: tuple[str, ...] = ()


@tool(risk=Risk.NETWORK)
async def echo(ctx: ToolContext, text: AnyText, times: int = 1, parts: list[AnyText] | None = None) -> Echoed:
    """Say it again.

    Whatever it is.

    Args:
        text: What to say; on two
            lines if need be.
        times: How often.
    """
    return Echoed(text * times, tuple(parts or ()))


FRAME = '{"text": "", "parts": []} [redacted] …'
OPEN = decide(organization={Risk.NETWORK: Rule.ALLOW})
BOX = Toolbox({"echo": echo}, OPEN)


def call(**arguments: object) -> ToolCall:
    return ToolCall("c1", "echo", json.dumps(arguments))


@pytest.mark.req("TOL-01")
def test_the_schema_comes_from_the_signature_and_the_docstring() -> None:
    assert echo.spec.description == "Say it again.\n\nWhatever it is."
    assert echo.spec.schema == {
        "additionalProperties": False,
        "properties": {
            "text": {"type": "string", "description": "What to say; on two lines if need be."},
            "times": {"type": "integer", "default": 1, "description": "How often."},
            "parts": {
                "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
                "default": None,
            },
        },
        "required": ["text"],
        "type": "object",
    }


@pytest.mark.req("TOL-01")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[1]", "do not fit"),
        ("{}", "text: Field required"),
        ('{"text": 1}', "text: Input should be a valid string"),
        ('{"text": "a", "times": "many", "other": 1}', "times: Input should be a valid integer"),
    ],
)
async def test_a_wrong_call_is_refused_with_every_fault(
    context: ToolContext, arguments: str, said: str
) -> None:
    result = await BOX.run(ToolCall("c1", "echo", arguments), context)
    assert not result.ok
    assert said in json.loads(result.content)["error"]
    (event,) = context.journal.events
    assert isinstance(event, ToolRefused)


@pytest.mark.req("TOL-09")
async def test_every_call_leaves_its_inputs_outputs_and_duration(context: ToolContext) -> None:
    result = await BOX.run(call(text="hé\udce9"), context, (NoteTaken(context.key.task_id, 3, "", "before"),))
    note, started, finished = context.journal.events
    assert isinstance(note, NoteTaken)
    assert started == ToolStarted(context.key.task_id, 1, 3, "c1", "echo", '{"text": "h\\u00e9\\udce9"}')
    assert isinstance(finished, ToolFinished)
    assert (finished.ok, finished.content, finished.seconds > 0) == (True, result.content, True)
    assert result.content == '{"text": "hé\\udce9", "parts": []}'
    result.content.encode("utf-8")


@pytest.mark.req("TOL-09")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    secret=st.text(min_size=6, max_size=30).filter(lambda text: text.isprintable()),
    before=st.text(max_size=30),
    after=st.text(max_size=30),
)
async def test_a_secret_reaches_no_event_and_no_model(
    context: ToolContext, secret: str, before: str, after: str
) -> None:
    assume(secret not in FRAME)
    box = replace(BOX, redactor=Redactor([secret]))
    result = await box.run(call(text=before + secret + after, parts=[secret]), context)
    seen = [result.content, *(repr(event) for event in context.journal.events)]
    context.journal.events.clear()
    assert not any(secret in text for text in seen)
    json.loads(result.content)


@pytest.mark.req("TOL-09")
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("note", {"text": "it is {}"}),
        ("request_subtask", {"title": "Hide {}", "role": "developer", "why": "{} is known"}),
        ("comment_line", {"path": "a.py", "line": 1, "text": "{} here"}),
        ("give_verdict", {"ruling": "revise", "must_change": ["take out {}"]}),
        ("finish", {"summary": "{}", "data": {"seen": "{}"}}),
        ("read_file", {"path": "{}"}),
    ],
)
async def test_what_tools_record_themselves_holds_no_secret(
    context: ToolContext, tool: str, arguments: dict[str, object]
) -> None:
    text = json.dumps(arguments).replace("{}", "hush-hush-1")
    box = Toolbox(every_tool(), redactor=Redactor(["hush-hush-1"]))
    result = await box.run(ToolCall("c1", tool, text), context)
    assert len(context.journal.events) > 1
    assert "hush" not in f"{result} {context.journal.events}"


@pytest.mark.req("TOL-09")
@given(st.lists(st.text(max_size=3000) | st.just("x" * 30_000), max_size=40), st.integers(1, 3))
def test_a_long_result_is_shortened_and_stays_json(parts: list[str], depth: int) -> None:
    value: object = parts
    for _ in range(depth):
        value = {"value": value, "kept": "yes"}
    content = BOX.content(value)
    assert len(content) <= LONGEST_RESULT
    shown = json.loads(content)
    assert shown.get("kept") == "yes" or "error" in shown


async def test_long_arguments_are_shortened_in_the_record_alone(context: ToolContext) -> None:
    result = await BOX.run(call(text="y" * 9000), context)
    started = context.journal.events[0]
    assert len(started.arguments) == LONGEST_ARGUMENTS
    assert started.arguments.endswith("more characters]")
    assert len(json.loads(result.content)["text"]) == 9000


@pytest.mark.req("TOL-02")
async def test_what_the_policy_denies_is_not_shown_and_not_run(context: ToolContext) -> None:
    box = replace(BOX, policy=decide(organization={Risk.NETWORK: Rule.DENY}))
    assert box.specs() == []
    result = await box.run(call(text="x"), context)
    assert "The policy denies echo: its risk is network." in result.content
    assert [type(event) for event in context.journal.events] == [ToolRefused]


@pytest.mark.req("TOL-02")
@pytest.mark.parametrize(("answer", "ok"), [(Answer.GRANTED, True), (Answer.DENIED, False)])
async def test_what_is_to_be_asked_waits_for_a_person(context: ToolContext, answer: Answer, ok: bool) -> None:
    asked: list[Approval] = []

    async def approver(approval: Approval) -> Answer:
        asked.append(approval)
        return answer

    box = Toolbox({"echo": echo}, decide(), Redactor(["hush-hush"]), approver)
    result = await box.run(call(text="hush-hush"), context)
    assert result.ok is ok
    assert (asked[0].tool, asked[0].risk, asked[0].role) == ("echo", Risk.NETWORK, "developer")
    assert asked[0].arguments == '{"text": "[redacted]"}'


@pytest.mark.req("TOL-02")
async def test_no_answer_in_time_means_no(context: ToolContext) -> None:
    async def never(approval: Approval) -> Answer:
        await asyncio.Event().wait()
        return Answer.GRANTED

    box = Toolbox({"echo": echo}, decide(), approver=never, approval_seconds=0.02)
    result = await box.run(call(text="x"), context)
    assert not result.ok
    assert "which means no" in result.content


async def test_a_pending_approval_is_the_same_question_each_time(context: ToolContext) -> None:
    async def later(approval: Approval) -> Answer:
        return Answer.PENDING

    box = Toolbox({"echo": echo}, decide(), approver=later)
    seen: list[Approval] = []
    for _ in range(2):
        with pytest.raises(AwaitsApproval) as waits:
            await box.run(call(text="x"), context)
        seen.append(waits.value.approval)
    assert seen[0] == seen[1]


async def test_without_people_nobody_approves(context: ToolContext) -> None:
    assert not (await Toolbox({"echo": echo}, decide()).run(call(text="x"), context)).ok


def test_tools_are_found_by_name() -> None:
    assert list(tools_named(["finish", "read_file"])) == ["finish", "read_file"]
    with pytest.raises(NotFound, match="no tool launch, fly; there are: apply_patch"):
        tools_named(["launch", "finish", "fly"])


def test_a_signature_that_is_not_json_is_told() -> None:
    with pytest.raises(InvalidInput, match="echo do not fit"):
        echo.parse('{"text": null}')


@pytest.mark.req("TOL-01")
def test_an_agent_sees_the_tools_of_its_role_only() -> None:
    assert [spec.name for spec in Toolbox(tools_named(["finish"])).specs()] == ["finish"]
    assert len(every_tool()) > 30
