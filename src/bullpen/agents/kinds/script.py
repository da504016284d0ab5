"""A script: any executable with a manifest, spoken to in JSON lines, in the sandbox. Idle, there is no process.

The protocol is in docs/guide/agent.md. A process lives for one task: the files it may touch are mounted for it, and a
fault of one task cannot reach the next.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from bullpen.agents.base import AgentResult, AgentTask, Used
from bullpen.agents.broker import INSIDE, open_broker
from bullpen.agents.discovery import AGENT_FOLDER, Registration
from bullpen.agents.health import Checkup
from bullpen.agents.manifest import PROTOCOL, AgentLimits
from bullpen.agents.means import Means
from bullpen.agents.recorded import Record, recorded_in_sandbox
from bullpen.agents.stdio import GRACE_SECONDS, Spoken, last_line, read_object, spoken_to, why_ended
from bullpen.domain.errors import BullpenError, Conflict, InvalidInput, LimitExceeded, Unavailable
from bullpen.domain.money import Money
from bullpen.sandbox.base import Command, Mount, Sandbox
from bullpen.tools.base import ToolContext

MOST_FAULTS = 20  # lines that are no message of the protocol, in one task
HEALTH_SECONDS = 10.0
BACKOFF_SECONDS = 0.2  # before the first restart; twice as long before each further one
_MOST_TOKENS = 10**12


@dataclass(frozen=True, slots=True)
class Script:
    """See ``Agent``. ``backoff`` are the seconds before the first restart."""

    registration: Registration
    backoff: float = BACKOFF_SECONDS
    means: Means = field(default_factory=Means)

    @classmethod
    def registered(cls, registration: Registration, means: Means) -> "Script":
        """The agent a registration stands for."""
        return cls(registration, means=means)

    @property
    def name(self) -> str:
        """The name in its manifest."""
        return self.registration.manifest.name

    async def initialize(self) -> None:
        """See ``Agent.initialize``: its executable must still be there."""
        self.registration.check()

    async def process(self, task: AgentTask, context: ToolContext) -> AgentResult:
        """See ``Agent.process``."""
        return await recorded_in_sandbox(self.registration, task, context, self._work)

    async def cleanup(self) -> None:
        """See ``Agent.cleanup``: there is nothing to let go of."""

    async def examine(self, sandbox: Sandbox) -> Checkup:
        """Run its health command, and look for the programs it needs."""
        return await examine(self.registration, sandbox)

    async def _work(self, sandbox: Sandbox, record: Record) -> AgentResult:
        for restart in range(record.limits.restarts + 1):
            if restart:
                await record.restore()
                await asyncio.sleep(self.backoff * 2 ** (restart - 1))
            try:
                return await self._once(sandbox, record)
            except Unavailable as died:
                if restart == record.limits.restarts:
                    raise
                await record.note(f"{died.sentence} It is started again.")
        raise AssertionError

    @asynccontextmanager
    async def _command(self, record: Record) -> AsyncGenerator[Command]:
        """How it is started: without network, or with a broker where its manifest names a secret and an address."""
        command = command_of(
            self.registration, record.limits, record.seconds, workspace=record.context.workspace
        )
        manifest = self.registration.manifest
        if not (manifest.url and manifest.secret):  # no repository may bring one that has a secret
            yield command
            return
        async with open_broker(manifest.url, self.means.value_of(manifest.secret)) as door:
            own = {
                name: value.replace("{broker}", INSIDE).replace("{token}", door.token)
                for name, value in manifest.env
            }
            yield door.through(replace(command, env={**command.env, **own}))

    async def _once(self, sandbox: Sandbox, record: Record) -> AgentResult:
        farewell = {"type": "cancel", "id": record.task.id, "reason": "the run is ended"}
        hearing = _Hearing(record)
        async with self._command(record) as command, spoken_to(sandbox, command, farewell) as program:
            program.say(task_message(record))
            await hearing.listen(program)
            if hearing.result is not None:
                program.end_input()
                await hearing.after_the_answer(program)
        if hearing.result is None:
            raise Unavailable(why_ended(program.outcome), code="died")
        return hearing.result


def task_message(record: Record) -> Mapping[str, Any]:
    """The first line a script reads."""
    task = record.task
    return {
        "type": "task",
        "protocol": PROTOCOL,
        "id": task.id,
        "attempt": task.attempt,
        "text": task.text,
        "facts": task.facts.to_mapping(),
        "tried": sorted(record.context.tried),
        "seconds": record.seconds,
        "workspace": "/work",
    }


@dataclass(slots=True)
class _Hearing:
    """What came from a script so far. The first answer counts; what comes after it does not."""

    record: Record
    result: AgentResult | None = None
    faults: int = 0

    async def listen(self, program: Spoken) -> None:
        """Take messages until there is an answer or no more.

        Raises:
            InvalidInput: it prints what is no message, again and again.
            Conflict: it said that it cannot go on.
        """
        while self.result is None:
            line = await program.line(self.record.limits.quiet_seconds)
            if line is None:
                return
            if line.strip():
                await self._take(line)

    async def after_the_answer(self, program: Spoken) -> None:
        """A second answer changes nothing, and is noted."""
        with contextlib.suppress(Unavailable, LimitExceeded):
            while (line := await program.line(GRACE_SECONDS)) is not None:
                if b'"result"' in line or b'"error"' in line:
                    await self.record.note("It answered more than once; only the first answer counts.")
                    return

    async def _take(self, line: bytes) -> None:
        try:
            message = read_object(line)
            await self._obey(message)
        except InvalidInput as fault:
            self.faults += 1
            await self.record.note(f"Not understood: {fault.sentence}")
            if self.faults >= MOST_FAULTS:
                raise InvalidInput(
                    f"It wrote {self.faults} lines that are no messages; the last: {fault.sentence}",
                    remedy="Standard output is for JSON lines alone; write anything else to standard error.",
                ) from fault

    async def _obey(self, message: Mapping[str, Any]) -> None:
        match message.get("type"):
            case "progress":
                await self.record.note(_text(message, "text"))
            case "usage":
                await self.record.reply(_text(message, "text"), used_of(message))
            case "result":
                self.result = self._answer(message)
            case "error":
                raise Conflict(f"It gave up: {_text(message, 'message') or 'no reason was given'}")
            case "heartbeat":
                pass
            case other:
                raise InvalidInput(f"There is no message of type {str(other)[:60]!r}.")

    def _answer(self, message: Mapping[str, Any]) -> AgentResult:
        if message.get("id", self.record.task.id) != self.record.task.id:
            raise InvalidInput("It answered to another task.")
        outcome = _text(message, "outcome")
        if not outcome:
            raise InvalidInput("A result needs an outcome: done, failed or no-approach.")
        return self.record.result(outcome, _text(message, "summary"), data_of(message))


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name, "")
    if not isinstance(value, str):
        raise InvalidInput(f"{name!r} is not a text.")
    return value


def data_of(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The further values of an answer, as texts.

    Raises:
        InvalidInput: ``data`` is not an object.
    """
    data = message.get("data", {})
    if not isinstance(data, dict):
        raise InvalidInput("'data' is not an object.")
    return [(str(name), str(value)) for name, value in cast("dict[str, Any]", data).items()]


def used_of(message: Mapping[str, Any]) -> Used:
    """Tokens and cost in a message.

    Raises:
        InvalidInput: they are no such numbers.
    """
    counts: list[int] = []
    for name in ("input_tokens", "output_tokens"):
        count = message.get(name, 0)
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MOST_TOKENS:
            raise InvalidInput(f"{name!r} is not a number of tokens.")
        counts.append(count)
    return Used(counts[0], counts[1], Money.parse(str(message.get("cost_usd", "0"))))


def command_of(
    registration: Registration, limits: AgentLimits, seconds: float, *, workspace: Path | None
) -> Command:
    """How an agent's program is started: its own files read-only beside the workspace, nothing else."""
    program, *arguments = registration.manifest.command or (f"./{registration.entry}",)
    return Command(
        (inside(program), *arguments),
        workspace=workspace,
        workspace_writable=workspace is not None,
        env={"BULLPEN_PROTOCOL": str(PROTOCOL)},
        mounts=mounts_of(registration),
        limits=limits.for_sandbox(seconds),
    )


def mounts_of(registration: Registration) -> tuple[Mount, ...]:
    """The agent's own files."""
    if not registration.entry:
        return (Mount(registration.folder, AGENT_FOLDER),)
    return (Mount(registration.folder / registration.entry, f"{AGENT_FOLDER}/{registration.entry}"),)


def inside(program: str) -> str:
    """Where a program of the agent's own folder is in the sandbox; other names are looked for there as usual."""
    return os.path.normpath(f"{AGENT_FOLDER}/{program}") if program.startswith("./") else program


async def examine(registration: Registration, sandbox: Sandbox) -> Checkup:
    """Whether the agent's program starts and says that it is well, and which programs it lacks. Never raises."""
    manifest = registration.manifest
    script = 'for p in "$@"; do command -v "$p" >/dev/null || echo "$p"; done'
    try:
        lacking: tuple[str, ...] = ()
        if manifest.needs:
            limits = manifest.limits.for_sandbox(HEALTH_SECONDS)
            found = await sandbox.run(Command(("sh", "-c", script, "sh", *manifest.needs), limits=limits))
            lacking = tuple(found.stdout.decode("utf-8", "replace").split())
        if lacking or not manifest.health:
            return Checkup(not lacking, lacking, f"It needs {', '.join(lacking)}." if lacking else "")
        return await _asked(registration, sandbox)
    except BullpenError as error:
        return Checkup(alive=False, error=error.sentence)


async def _asked(registration: Registration, sandbox: Sandbox) -> Checkup:
    program, *arguments = registration.manifest.health
    command = Command(
        (inside(program), *arguments),
        mounts=mounts_of(registration),
        limits=registration.manifest.limits.for_sandbox(HEALTH_SECONDS),
    )
    outcome = await sandbox.run(command)
    if outcome.ok:
        return Checkup(alive=True, seconds=outcome.wall_seconds)
    how = outcome.end if outcome.exit_status is None else f"status {outcome.exit_status}"
    said = last_line(outcome.stderr) or last_line(outcome.stdout)
    return Checkup(
        alive=False, error=f"The health command ended: {how}. {said}".strip(), seconds=outcome.wall_seconds
    )


KIND = Script
