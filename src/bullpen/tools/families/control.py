"""Say that the work is over, write something down, share a variable, ask for a further task."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from bullpen.domain.errors import NotFound
from bullpen.domain.events.agent import NoteTaken, SubtaskRequested
from bullpen.tools.base import Risk, ToolContext, need, tool

Name = Annotated[str, Field(pattern=r"^[a-zA-Z][a-zA-Z0-9_.-]{0,63}$")]


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a run, as the agent sees it."""

    outcome: str
    summary: str
    data: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Noted:
    """What was recorded."""

    recorded: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the scratchpad."""

    name: str
    value: str


@tool(risk=Risk.READ, ends=True)
async def finish(
    ctx: ToolContext,
    summary: str,
    outcome: Literal["done", "failed", "no-approach"] = "done",
    data: dict[str, str] | None = None,
) -> Finished:
    """End your work on this task and say what came of it. Call this exactly once, last.

    Args:
        summary: What you did and what you saw, in a few sentences for people.
        outcome: done, failed, or no-approach if every way you know has been tried.
        data: Further values for the platform, such as the approach you took.
    """
    return Finished(outcome, summary, data or {})


@tool(risk=Risk.READ)
async def note(ctx: ToolContext, text: Annotated[str, Field(max_length=8000)]) -> Noted:
    """Write something down for the people and agents who follow.

    Args:
        text: What they should know.
    """
    key = ctx.key
    await ctx.journal.append(NoteTaken(key.task_id, key.step, key.call_id, ctx.redactor.redact(text)))
    return Noted("note")


@tool(risk=Risk.READ)
async def set_variable(
    ctx: ToolContext, name: Name, value: Annotated[str, Field(max_length=65536)]
) -> Variable:
    """Set a variable on the scratchpad that the agents of this session share.

    Args:
        name: Its name: a letter, then letters, digits, dots, dashes, underscores.
        value: Its new value.
    """
    await need(ctx.scratchpad, "scratchpad").write(name, value)
    return Variable(name, value)


@tool(risk=Risk.READ)
async def get_variable(ctx: ToolContext, name: Name) -> Variable:
    """Read a variable of the scratchpad.

    Args:
        name: Its name.
    """
    value = await need(ctx.scratchpad, "scratchpad").read(name)
    if value is None:
        raise NotFound(f"There is no variable {name!r} on the scratchpad.")
    return Variable(name, value)


@tool(risk=Risk.READ)
async def request_subtask(
    ctx: ToolContext,
    title: Annotated[str, Field(min_length=3, max_length=200)],
    role: Name,
    why: str,
    capabilities: list[str] | None = None,
) -> Noted:
    """Ask for a further task for another agent; whether it is made is decided elsewhere.

    Args:
        title: What is to be done, in one line.
        role: The role that should do it, such as developer.
        why: Why it is needed.
        capabilities: What the agent must be able to do.
    """
    key = ctx.key
    clean = ctx.redactor.redact
    wish = SubtaskRequested(
        key.task_id, key.step, key.call_id, clean(title), role, clean(why), tuple(capabilities or ())
    )
    await ctx.journal.append(wish)
    return Noted(f"subtask: {title}")


TOOLS = (finish, note, set_variable, get_variable, request_subtask)
