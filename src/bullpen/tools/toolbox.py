"""The tools of a role, and how a call goes: check, ask, run, redact, record."""

import asyncio
import dataclasses
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

from bullpen.domain.errors import BullpenError, InvalidInput, NotFound, PermissionRefused
from bullpen.domain.events import Event
from bullpen.domain.events.agent import ToolFinished, ToolRefused, ToolStarted
from bullpen.domain.ids import ApprovalId, derived_id
from bullpen.kernel.extend import ExtensionPoint
from bullpen.kernel.redaction import Redactor
from bullpen.models.base import ToolCall, ToolResult, ToolSpec
from bullpen.tools.base import CallKey, Risk, Tool, ToolContext
from bullpen.tools.policy import Policy, Rule
from bullpen.tools.text import cut, limited, map_texts, to_json, to_plain

FAMILIES: ExtensionPoint[tuple[Tool, ...]] = ExtensionPoint("bullpen.tools.families", "TOOLS")
LONGEST_ARGUMENTS = 4096  # characters kept in ToolStarted
LONGEST_RESULT = 16384  # characters kept in ToolFinished, and shown to the model
APPROVAL_SECONDS = 3600.0


class Answer(StrEnum):
    """What a person says to an approval."""

    GRANTED = "granted"
    DENIED = "denied"
    PENDING = "pending"  # not yet; the run stops here and goes on when there is an answer


@dataclass(frozen=True, slots=True)
class Approval:
    """A question to a person. ``id`` is derived from the call, so asking again is the same question."""

    id: ApprovalId
    key: CallKey
    role: str
    tool: str
    risk: Risk
    arguments: str  # redacted
    seconds: float = APPROVAL_SECONDS


Approver = Callable[[Approval], Awaitable[Answer]]


async def nobody(approval: Approval) -> Answer:
    """An approver for runs without people: what would have to be asked is denied."""
    return Answer.DENIED


class AwaitsApproval(BullpenError):
    """A call waits for a person; the run goes on from its record when there is an answer."""

    code = "awaits-approval"
    status = 202

    def __init__(self, approval: Approval) -> None:
        super().__init__(f"{approval.tool} ({approval.risk.value}) waits for a person's approval.")
        self.approval = approval


@cache
def every_tool() -> Mapping[str, Tool]:
    """All tools of all families by name.

    Raises:
        InvalidInput: two families have a tool of the same name.
    """
    tools: dict[str, Tool] = {}
    for family, members in FAMILIES.load_all().items():
        for member in members:
            if member.name in tools:
                raise InvalidInput(f"The tool {member.name} of the family {family} is there already.")
            tools[member.name] = member
    return tools


def tools_named(names: Iterable[str]) -> dict[str, Tool]:
    """These tools; NotFound names those that do not exist."""
    known = every_tool()
    wanted = list(names)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise NotFound(f"There is no tool {', '.join(unknown)}; there are: {', '.join(sorted(known))}.")
    return {name: known[name] for name in wanted}


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What one role may call, under which policy."""

    tools: Mapping[str, Tool]
    policy: Policy = field(default_factory=Policy)
    redactor: Redactor = field(default_factory=Redactor)
    approver: Approver = nobody
    approval_seconds: float = APPROVAL_SECONDS

    def specs(self) -> list[ToolSpec]:
        """The tools as a model sees them; those the policy denies are not shown."""
        return [tool.spec for tool in self.tools.values() if self.policy.rule(tool.risk) is not Rule.DENY]

    def ends(self, name: str) -> bool:
        """Whether a run is over when this tool succeeds."""
        return name in self.tools and self.tools[name].ends

    def writes(self, name: str) -> bool:
        """Whether this tool may change the workspace."""
        return name in self.tools and self.tools[name].risk is not Risk.READ

    def changes_files(self, name: str) -> bool:
        """Whether this tool's very purpose is to change files."""
        return name in self.tools and self.tools[name].risk is Risk.WRITE

    async def run(self, call: ToolCall, context: ToolContext, before: Sequence[Event] = ()) -> ToolResult:
        """Make one call. What is wrong with it comes back as a result the model can act on, never as an error.

        ``before`` are events recorded together with the first one of the call.

        Raises:
            AwaitsApproval: a person has to answer first.
        """
        try:
            tool, arguments = self._checked(call)
            granted = await self._permitted(tool, call, context, before)
        except BullpenError as error:
            if isinstance(error, AwaitsApproval):
                raise
            reason = self.redactor.redact(sentence_of(error))[:LONGEST_RESULT]
            await context.journal.append(*before, _refused(call, context.key, reason))
            return ToolResult(call.id, call.tool, failure(reason), ok=False)
        started = ToolStarted(**_named(call, context.key), arguments=self.shown(call.arguments))
        await context.journal.append(*(() if granted else before), started)
        return await self._run(tool, call, arguments, context)

    def shown(self, arguments: str) -> str:
        """Arguments as they may be recorded: without secrets, and not too long."""
        return cut(self.redactor.redact(arguments), LONGEST_ARGUMENTS)

    async def _run(
        self, tool: Tool, call: ToolCall, arguments: dict[str, Any], context: ToolContext
    ) -> ToolResult:
        if context.redactor is not self.redactor:
            context = dataclasses.replace(context, redactor=self.redactor)
        begun = time.perf_counter()
        try:
            content, ok = self.content(await tool.function(context, **arguments)), True
        except BullpenError as error:
            content, ok = failure(self.redactor.redact(sentence_of(error))[:LONGEST_RESULT]), False
        tree = await context.worktree.snapshot() if context.worktree and self.writes(tool.name) else ""
        seconds = time.perf_counter() - begun
        finished = ToolFinished(
            **_named(call, context.key), ok=ok, content=content, seconds=seconds, tree=tree
        )
        await context.journal.append(finished)
        return ToolResult(call.id, call.tool, content, ok)

    def _checked(self, call: ToolCall) -> tuple[Tool, dict[str, Any]]:
        tool = self.tools.get(call.tool)
        if tool is None:
            raise NotFound(
                f"There is no tool {call.tool!r} for you; you have: {', '.join(sorted(self.tools))}."
            )
        return tool, tool.parse(call.arguments)

    async def _permitted(
        self, tool: Tool, call: ToolCall, context: ToolContext, before: Sequence[Event]
    ) -> bool:
        """Whether a person was asked (then ``before`` is recorded); PermissionRefused if the answer is no."""
        rule = self.policy.rule(tool.risk)
        if rule is Rule.ALLOW:
            return False
        if rule is Rule.DENY:
            raise PermissionRefused(f"The policy denies {tool.name}: its risk is {tool.risk.value}.")
        approval = Approval(
            ApprovalId(derived_id("apr", str(context.key))),
            context.key,
            context.role,
            tool.name,
            tool.risk,
            self.shown(call.arguments),
            self.approval_seconds,
        )
        answer = await self._ask(approval)
        if answer is Answer.PENDING:
            await context.journal.append(*before)
            raise AwaitsApproval(approval)
        if answer is not Answer.GRANTED:
            raise PermissionRefused(f"{tool.name} was not approved.")
        await context.journal.append(*before)
        return True

    async def _ask(self, approval: Approval) -> Answer:
        try:
            async with asyncio.timeout(approval.seconds):
                return await self.approver(approval)
        except TimeoutError:
            raise PermissionRefused(
                f"Nobody approved {approval.tool} within {approval.seconds:.0f} s, which means no."
            ) from None

    def content(self, value: object) -> str:
        """A result as it is recorded and shown: JSON of at most ``LONGEST_RESULT`` characters, without secrets."""
        plain = to_plain(value)
        text = to_json(plain)
        if len(text) > LONGEST_RESULT or self.redactor.redact(text) != text:
            text = self._shortened(map_texts(plain, self.redactor.redact))
        return text

    def _shortened(self, plain: Any) -> str:
        """Ever shorter texts and lists until it fits; a value that is secret only in its place goes as a whole."""
        longest = LONGEST_RESULT
        text = to_json(plain)
        while len(text) > LONGEST_RESULT:
            longest //= 2
            if not longest:
                return failure("The result is too long to be shown.")
            text = to_json(limited(plain, longest))
        clean = self.redactor.redact(text)
        try:
            json.loads(clean)
        except ValueError:
            return failure("The result held a secret and is not shown.")
        return clean


def _named(call: ToolCall, key: CallKey) -> dict[str, Any]:
    return {
        "task_id": key.task_id,
        "attempt": key.attempt,
        "step": key.step,
        "call_id": call.id,
        "tool": call.tool,
    }


def _refused(call: ToolCall, key: CallKey, reason: str) -> ToolRefused:
    return ToolRefused(**_named(call, key), reason=reason)


def sentence_of(error: BullpenError) -> str:
    """What went wrong, and what to do next."""
    return f"{error.sentence} {error.remedy}".strip()


def failure(reason: str) -> str:
    """The content of a result that is not ok."""
    return to_json({"error": reason})
