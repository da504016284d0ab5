"""An agent somewhere else, reached over HTTP: it is sent the task, and answers to a callback before its deadline.

The request carries a signature the agent can check, and a token that opens the callback for this run alone. It may
answer at once (200 with a result) or later (202). The agent sees the task, never the files.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp

from bullpen.agents.base import AgentResult, AgentTask
from bullpen.agents.callbacks import LONGEST_ANSWER, Call, Callbacks
from bullpen.agents.discovery import Registration
from bullpen.agents.health import Checkup
from bullpen.agents.kinds.script import data_of, used_of
from bullpen.agents.manifest import PROTOCOL, Manifest
from bullpen.agents.means import Means
from bullpen.agents.recorded import Record, recorded
from bullpen.domain.errors import Conflict, InvalidInput, LimitExceeded, Missing, Unavailable
from bullpen.sandbox.base import Sandbox
from bullpen.tools.base import ToolContext

SIGNATURE = "X-Bullpen-Signature"
MOST_TRIES = 5
BACKOFF_SECONDS = 0.5  # before the second try; twice as long before each further one
MOST_FAULTS = 20
_ANSWER_SECONDS = 60.0  # for the agent's server to take the task
_FAREWELL_SECONDS = 2.0
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Remote:
    """See ``Agent``. ``backoff`` are the seconds before the second try of a request."""

    registration: Registration
    means: Means
    backoff: float = BACKOFF_SECONDS

    @classmethod
    def registered(cls, registration: Registration, means: Means) -> "Remote":
        """The agent a registration stands for."""
        return cls(registration, means)

    @property
    def name(self) -> str:
        """The name in its manifest."""
        return self.registration.manifest.name

    async def initialize(self) -> None:
        """See ``Agent.initialize``: something must receive its answers."""
        self.means.for_answers()

    async def process(self, task: AgentTask, context: ToolContext) -> AgentResult:
        """See ``Agent.process``."""
        one = self.registration
        return await recorded(self.name, one.title, one.manifest.limits, task, context, self._work)

    async def cleanup(self) -> None:
        """See ``Agent.cleanup``: there is nothing to let go of."""

    async def examine(self, sandbox: Sandbox) -> Checkup:
        """Whether its server answers at all; no task is sent."""
        del sandbox  # it is not run here
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self.registration.manifest.url, allow_redirects=False) as answer,
            ):
                if answer.status < 500:
                    return Checkup(alive=True)
                return Checkup(alive=False, error=f"Its server answers with status {answer.status}.")
        except (aiohttp.ClientError, TimeoutError) as error:
            return Checkup(alive=False, error=f"Its server cannot be reached: {error}.")

    async def _work(self, record: Record) -> AgentResult:
        callbacks = self.means.for_answers()
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        with callbacks.call(record.seconds) as call:
            async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
                name = self.registration.manifest.secret
                key = self.means.value_of(name) if name else ""
                sending = _Sending(session, self.registration.manifest, callbacks, call, self.backoff, key)
                try:
                    at_once = await sending.send(_task(record, call))
                    _require_reachable(call, at_once)
                    return await _Hearing(record, call).listen(at_once)
                except BaseException:
                    await sending.say_farewell({"type": "cancel", "id": record.task.id, "call": call.id})
                    raise


def _require_reachable(call: Call, at_once: Mapping[str, Any] | None) -> None:
    """Refuse to wait for an answer that cannot come."""
    if at_once is None and not call.url:
        raise Missing(
            "It wants to answer later, and nothing here can be reached from outside.",
            remedy="Let it answer at once, with status 200.",
        )


def _task(record: Record, call: Call) -> Mapping[str, Any]:
    task = record.task
    return {
        "type": "task",
        "protocol": PROTOCOL,
        "id": task.id,
        "call": call.id,
        "attempt": task.attempt,
        "text": task.text,
        "facts": task.facts.to_mapping(),
        "tried": sorted(record.context.tried),
        "seconds": record.seconds,
        "callback": {"url": call.url, "token": call.token},
    }


@dataclass(frozen=True, slots=True)
class _Sending:
    session: aiohttp.ClientSession
    manifest: Manifest
    callbacks: Callbacks
    call: Call
    backoff: float
    key: str = field(default="", repr=False)

    async def send(self, message: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Send the task, again where the server is busy or away; its answer if it gave one at once.

        Raises:
            Unavailable: the server was busy or away every time.
            InvalidInput: it refused the task, or its answer cannot be read.
        """
        body = json.dumps(message).encode()
        why = ""
        for again in range(MOST_TRIES):
            if again:
                await asyncio.sleep(self.backoff * 2 ** (again - 1))
            try:
                status, content = await self._post(body)
            except (aiohttp.ClientError, TimeoutError) as error:
                why = f"cannot be reached ({type(error).__name__})"
                continue
            if status not in _BUSY:
                return _read(status, content)
            why = f"answers with status {status}"
        raise Unavailable(f"Its server {why}, {MOST_TRIES} times.", code="away")

    async def say_farewell(self, message: Mapping[str, Any]) -> None:
        """Tell it that nobody waits any more; whether it hears it does not matter."""
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self._post(json.dumps(message).encode())
        except (aiohttp.ClientError, TimeoutError):
            return

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": self.call.id,
            SIGNATURE: f"sha256={self.callbacks.signature(body)}",
        }
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        async with self.session.post(
            self.manifest.url, data=body, headers=headers, allow_redirects=False
        ) as answer:
            return answer.status, await answer.content.read(LONGEST_ANSWER + 1)


def _read(status: int, content: bytes) -> Mapping[str, Any] | None:
    if status in (202, 204):
        return None
    if status != 200:
        raise InvalidInput(f"Its server refused the task with status {status}.")
    if len(content) > LONGEST_ANSWER:
        raise LimitExceeded(f"Its answer has more than {LONGEST_ANSWER} bytes.")
    try:
        message = json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidInput("Its answer is not JSON.") from None
    if not isinstance(message, dict):
        raise InvalidInput("Its answer is not a JSON object.")
    return cast("dict[str, Any]", message)


@dataclass(slots=True)
class _Hearing:
    record: Record
    call: Call
    faults: int = field(default=0)

    async def listen(self, first: Mapping[str, Any] | None) -> AgentResult:
        """Take messages until there is an answer.

        Raises:
            Unavailable: it said nothing for too long.
            InvalidInput: what it says is none of the messages, again and again.
            Conflict: it said that it cannot go on.
        """
        message = first or await self._next()
        while True:
            try:
                result = await self._obey(message)
            except InvalidInput as fault:
                self.faults += 1
                await self.record.note(f"Not understood: {fault.sentence}")
                if message.get("type") == "result" or self.faults >= MOST_FAULTS:
                    raise
                result = None
            if result is not None:
                self.call.answered = True
                return result
            message = await self._next()

    async def _next(self) -> Mapping[str, Any]:
        quiet = self.record.limits.quiet_seconds
        try:
            async with asyncio.timeout(quiet):
                return await self.call.messages.get()
        except TimeoutError:
            raise Unavailable(f"It said nothing for {quiet:g} s.", code="silent") from None

    async def _obey(self, message: Mapping[str, Any]) -> AgentResult | None:
        match message.get("type"):
            case "progress":
                await self.record.note(str(message.get("text", "")))
            case "usage":
                await self.record.reply("", used_of(message))
            case "heartbeat":
                pass
            case "error":
                raise Conflict(f"It gave up: {message.get('message') or 'no reason was given'}")
            case "result":
                return self._answer(message)
            case other:
                raise InvalidInput(f"There is no message of type {str(other)[:60]!r}.")
        return None

    def _answer(self, message: Mapping[str, Any]) -> AgentResult:
        outcome, summary = message.get("outcome"), message.get("summary", "")
        if not isinstance(outcome, str) or not isinstance(summary, str):
            raise InvalidInput("A result needs an outcome: done, failed or no-approach.")
        return self.record.result(outcome, summary, data_of(message))


KIND = Remote
