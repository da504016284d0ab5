"""Any agent that speaks the Agent Client Protocol, version 1, run in the sandbox (https://agentclientprotocol.com).

It works on the files that are mounted for it, so it is offered neither files nor terminals of ours. What it asks leave
for is granted: the sandbox is what holds it. Messages are read in order, one at a time, so that a limit ends the run at
the message that reached it; the types of requests and answers are those of the official package.
"""

import contextlib
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from acp import PROTOCOL_VERSION
from acp.schema import (
    ClientCapabilities,
    Implementation,
    InitializeRequest,
    InitializeResponse,
    NewSessionRequest,
    NewSessionResponse,
    PromptRequest,
    PromptResponse,
    TextContentBlock,
)
from pydantic import BaseModel, ValidationError

from bullpen.agents.base import AgentResult, AgentTask, Ending, Used
from bullpen.agents.broker import FILES, INSIDE, Door, open_broker
from bullpen.agents.coding_clis.base import Adapter, Ask, cost_in, dig, list_in, text_in
from bullpen.agents.discovery import Registration
from bullpen.agents.health import Checkup
from bullpen.agents.installed import Program, find_program, version_of
from bullpen.agents.kinds.coding_cli import ADAPTERS, prompt_of
from bullpen.agents.kinds.script import examine, inside, mounts_of
from bullpen.agents.means import Means
from bullpen.agents.recorded import Record, recorded_in_sandbox
from bullpen.agents.stdio import Spoken, read_object, spoken_to, why_ended
from bullpen.domain.errors import InvalidInput, Missing, Unavailable
from bullpen.domain.money import Money
from bullpen.sandbox.base import Command, Sandbox
from bullpen.tools.base import ToolContext

MOST_FAULTS = 200
Answer = TypeVar("Answer", bound=BaseModel)
_LONGEST = 16_384
_METHOD_NOT_FOUND = -32601
_GRANTS = ("allow_once", "allow_always")
_WORDS = {
    "max_tokens": "It ran out of the tokens of one reply.",
    "max_turn_requests": "It ran out of requests to its model.",
    "refusal": "Its model refused.",
    "cancelled": "It says that it was cancelled.",
}


@dataclass(frozen=True, slots=True)
class Acp:
    """See ``Agent``. ``adapter`` is there where the manifest names one instead of a command."""

    registration: Registration
    means: Means
    adapter: Adapter | None = None

    @classmethod
    def registered(cls, registration: Registration, means: Means) -> "Acp":
        """The agent a registration stands for.

        Raises:
            NotFound: there is no such adapter.
            InvalidInput: the assistant it names does not speak the protocol.
        """
        name = registration.manifest.adapter
        adapter = ADAPTERS.load(name) if name else None
        if adapter is not None and not adapter.acp:
            raise InvalidInput(f"{name} does not speak the Agent Client Protocol; use the kind coding_cli.")
        return cls(registration, means, adapter)

    @property
    def name(self) -> str:
        """The name in its manifest."""
        return self.registration.manifest.name

    async def initialize(self) -> None:
        """See ``Agent.initialize``: its program and key must be there."""
        self.registration.check()
        self._program()
        self._secret()

    async def process(self, task: AgentTask, context: ToolContext) -> AgentResult:
        """See ``Agent.process``."""
        return await recorded_in_sandbox(self.registration, task, context, self._work)

    async def cleanup(self) -> None:
        """See ``Agent.cleanup``: there is nothing to let go of."""

    async def examine(self, sandbox: Sandbox) -> Checkup:
        """Its own health command, or the version of the assistant it is."""
        if self.adapter is None:
            return await examine(self.registration, sandbox)
        return await version_of(self._words[0], self.adapter.install, sandbox)

    @property
    def _words(self) -> tuple[str, ...]:
        """The program as it is called here, and its arguments."""
        command = self.registration.manifest.command
        if self.adapter is None:
            return command
        return (*(command or (self.adapter.program,)), *self.adapter.acp)

    def _program(self) -> Program:
        word = self._words[0]
        if word.startswith("./"):
            return Program(inside(word), mounts_of(self.registration))
        return find_program(word, self.adapter.install if self.adapter else f"the program {word}")

    def _secret(self) -> str:
        name = self.registration.manifest.secret
        return self.means.value_of(name) if name else ""

    async def _work(self, sandbox: Sandbox, record: Record) -> AgentResult:
        async with self._command(record) as command, spoken_to(sandbox, command) as program:
            return await _Peer(program, record).converse(prompt_of(record.task))

    @asynccontextmanager
    async def _command(self, record: Record) -> AsyncGenerator[Command]:
        """How it is started; with a broker where it has somewhere to go."""
        program, manifest = self._program(), self.registration.manifest
        command = Command(
            (program.inside, *self._words[1:]),
            workspace=record.context.workspace,
            workspace_writable=True,
            mounts=program.mounts,
            limits=record.limits.for_sandbox(record.seconds),
        )
        upstream = manifest.url or (self.adapter.upstream if self.adapter else "")
        if not upstream:
            yield command
            return
        async with open_broker(upstream, self._secret()) as door:
            yield door.through(replace(command, env=self._environment(door)))

    def _environment(self, door: Door) -> Mapping[str, str]:
        manifest = self.registration.manifest
        own = {
            name: value.replace("{broker}", INSIDE).replace("{token}", door.token)
            for name, value in manifest.env
        }
        if self.adapter is None:
            return own
        launch = self.adapter.launch(Ask("", manifest.model, INSIDE, door.token, FILES))
        for name, content in launch.files.items():
            door.put(name, content)
        return {**launch.env, **own}


@dataclass(slots=True)
class _Peer:
    """Our side of one conversation."""

    program: Spoken
    record: Record
    text: str = ""
    last: str = ""
    cost: Money = field(default_factory=Money)
    asked: int = 0
    faults: int = 0

    async def converse(self, prompt: str) -> AgentResult:
        """Greet, open a session, ask once."""
        hello = InitializeRequest(
            protocol_version=PROTOCOL_VERSION,
            client_capabilities=ClientCapabilities(),
            client_info=Implementation(name="bullpen", version="1"),
        )
        met = await self._ask("initialize", hello, InitializeResponse)
        if met.protocol_version != PROTOCOL_VERSION:
            raise Missing(
                f"It speaks version {met.protocol_version} of the protocol, and Bullpen {PROTOCOL_VERSION}.",
                remedy="Install a version of the agent that speaks it.",
            )
        session = await self._ask(
            "session/new", NewSessionRequest(cwd="/work", mcp_servers=[]), NewSessionResponse
        )
        self.program.farewell = _notice("session/cancel", {"sessionId": session.session_id})
        block = TextContentBlock(type="text", text=prompt)
        asked = PromptRequest(session_id=session.session_id, prompt=[block])
        answer = await self._ask("session/prompt", asked, PromptResponse)
        self.program.farewell = None
        await self._reply(used=_used(answer))
        return self._result(answer.stop_reason)

    def _result(self, reason: str) -> AgentResult:
        if reason == "end_turn":
            return self.record.result("done", self.last)
        if reason in ("max_tokens", "max_turn_requests"):
            return self.record.ended(Ending.LIMIT, _WORDS[reason])
        return self.record.result("failed", f"{_WORDS[reason]} {self.last}".strip())

    async def _ask(self, method: str, params: BaseModel, kind: type[Answer]) -> Answer:
        """Ask, and do what it asks meanwhile, until it answers.

        Raises:
            Unavailable: it ended, or its answer is an error.
            InvalidInput: its answer is not of the protocol.
        """
        self.asked += 1
        said = params.model_dump(mode="json", by_alias=True, exclude_none=True)
        self.program.say({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": said})
        while True:
            message = await self._next()
            if message is None:
                raise Unavailable(why_ended(self.program.outcome), code="died")
            if "method" in message:
                await self._obey(message)
            elif message.get("id") == self.asked:
                return _read(method, message, kind)

    async def _next(self) -> dict[str, Any] | None:
        while (line := await self.program.line(self.record.limits.quiet_seconds)) is not None:
            try:
                if line.strip():
                    return read_object(line)
            except InvalidInput:
                self.faults += 1
                if self.faults >= MOST_FAULTS:
                    raise
        return None

    async def _obey(self, message: Mapping[str, Any]) -> None:
        """A notification is taken note of; a request gets an answer."""
        method = message.get("method")
        if method == "session/update":
            await self._update(dig(message, "params", "update"))
        if "id" not in message:
            return
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        if method == "session/request_permission":
            answer["result"] = {"outcome": _grant(message)}
        else:
            answer["error"] = {
                "code": _METHOD_NOT_FOUND,
                "message": "Not offered: work on the files in /work.",
            }
        self.program.say(answer)

    async def _update(self, update: Any) -> None:
        match text_in(update, "sessionUpdate"):
            case "agent_message_chunk":
                self.text = (self.text + text_in(update, "content", "text"))[:_LONGEST]
            case "tool_call":
                await self._reply(_call(update))
            case "usage_update" if text_in(update, "cost", "currency") == "USD":
                total = cost_in(update, "cost", "amount")
                more, self.cost = Money(max(0, total.micro_usd - self.cost.micro_usd)), max(total, self.cost)
                await self._reply(used=Used(cost=more))
            case _:
                pass

    async def _reply(self, *calls: tuple[str, str, str], used: Used | None = None) -> None:
        """What it said up to here is one reply."""
        text, self.text = self.text, ""
        self.last = text or self.last
        if text or calls or (used is not None and used != Used()):
            await self.record.reply(text, used or Used(), calls)


def _notice(method: str, params: Mapping[str, str]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def _read(method: str, message: Mapping[str, Any], kind: type[Answer]) -> Answer:
    if "error" in message:
        said = text_in(message, "error", "message") or "no reason was given"
        detail = text_in(message, "error", "data", "details")
        raise Unavailable(f"It refused {method}: {said}{f' ({detail})' if detail else ''}.", code="refused")
    try:
        return kind.model_validate(message.get("result"))
    except ValidationError as error:
        raise InvalidInput(
            f"Its answer to {method} is not of the protocol: {error.errors()[0]['msg']}."
        ) from error


def _grant(message: Mapping[str, Any]) -> dict[str, str]:
    options = list_in(message, "params", "options")
    for kind in _GRANTS:
        for option in options:
            if text_in(option, "kind") == kind and text_in(option, "optionId"):
                return {"outcome": "selected", "optionId": text_in(option, "optionId")}
    return {"outcome": "cancelled"}


def _call(update: Any) -> tuple[str, str, str]:
    shown = ""
    with contextlib.suppress(ValueError, RecursionError):
        shown = json.dumps(dig(update, "rawInput") or {"title": text_in(update, "title")})
    return text_in(update, "toolCallId"), text_in(update, "kind") or "other", shown


def _used(answer: PromptResponse) -> Used:
    usage = answer.usage
    return Used(usage.input_tokens, usage.output_tokens) if usage else Used()


KIND = Acp
