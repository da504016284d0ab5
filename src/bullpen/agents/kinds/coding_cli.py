"""A coding assistant of another maker, run in the sandbox by its command line; its key stays with the broker.

Which assistant is the manifest's ``adapter``, a file of ``coding_clis/``.
"""

import json
from dataclasses import dataclass

from bullpen.agents.base import AgentResult, AgentTask, Ending, Used
from bullpen.agents.broker import FILES, INSIDE, Door, open_broker
from bullpen.agents.coding_clis.base import Adapter, Ask, Heard, Launch, Said
from bullpen.agents.discovery import Registration
from bullpen.agents.guidance import as_data
from bullpen.agents.health import Checkup
from bullpen.agents.installed import find_program, version_of
from bullpen.agents.means import Means
from bullpen.agents.recorded import Record, recorded_in_sandbox
from bullpen.agents.stdio import Spoken, last_line, spoken_to, why_ended
from bullpen.domain.errors import InvalidInput, Unavailable
from bullpen.domain.money import Money
from bullpen.kernel.extend import ExtensionPoint
from bullpen.sandbox.base import Command, Sandbox
from bullpen.tools.base import ToolContext

ADAPTERS: ExtensionPoint[Adapter] = ExtensionPoint("bullpen.agents.coding_clis", "adapter")
MOST_FAULTS = 200  # lines that are not of its format; notices of a runtime are some


@dataclass(frozen=True, slots=True)
class CodingCli:
    """See ``Agent``."""

    registration: Registration
    means: Means
    adapter: Adapter

    @classmethod
    def registered(cls, registration: Registration, means: Means) -> "CodingCli":
        """The agent a registration stands for; NotFound lists the assistants there are."""
        return cls(registration, means, ADAPTERS.load(registration.manifest.adapter))

    @property
    def name(self) -> str:
        """The name in its manifest."""
        return self.registration.manifest.name

    async def initialize(self) -> None:
        """See ``Agent.initialize``: the program and the key must be there."""
        find_program(self._program, self.adapter.install)
        self._secret()

    async def process(self, task: AgentTask, context: ToolContext) -> AgentResult:
        """See ``Agent.process``."""
        return await recorded_in_sandbox(self.registration, task, context, self._work)

    async def cleanup(self) -> None:
        """See ``Agent.cleanup``: there is nothing to let go of."""

    async def examine(self, sandbox: Sandbox) -> Checkup:
        """Ask the program for its version, in the sandbox."""
        return await version_of(self._program, self.adapter.install, sandbox)

    @property
    def _program(self) -> str:
        return (*self.registration.manifest.command, self.adapter.program)[0]

    def _secret(self) -> str:
        name = self.registration.manifest.secret
        return self.means.value_of(name) if name else ""

    async def _work(self, sandbox: Sandbox, record: Record) -> AgentResult:
        manifest = self.registration.manifest
        async with open_broker(manifest.url or self.adapter.upstream, self._secret()) as door:
            ask = Ask(prompt_of(record.task), manifest.model, INSIDE, door.token, FILES)
            launch = self.adapter.launch(ask)
            for name, content in launch.files.items():
                door.put(name, content)
            command = self._command(launch, record, door)
            hearing = _Hearing(record, self.adapter)
            async with spoken_to(sandbox, command) as program:
                program.say_bytes(launch.stdin)
                program.end_input()
                await hearing.listen(program)
        return hearing.result(program)

    def _command(self, launch: Launch, record: Record, door: Door) -> Command:
        program = find_program(self._program, self.adapter.install)
        return door.through(
            Command(
                (program.inside, *launch.arguments),
                workspace=record.context.workspace,
                workspace_writable=True,
                env=launch.env,
                mounts=program.mounts,
                limits=record.limits.for_sandbox(record.seconds),
            )
        )


def prompt_of(task: AgentTask) -> str:
    """The task in words: its text, and its facts as data."""
    facts = task.facts.to_mapping()
    parts = [task.text, as_data("facts of the task", json.dumps(facts)) if facts else ""]
    return "\n\n".join(part for part in parts if part)


@dataclass(slots=True)
class _Hearing:
    record: Record
    adapter: Adapter
    said: Said | None = None
    faults: int = 0
    fallback: Said | None = None

    async def listen(self, program: Spoken) -> None:
        """Take every line to the end.

        Raises:
            InvalidInput: it prints something else than its format.
        """
        listener = self.adapter.listen()
        while (line := await program.line(self.record.limits.quiet_seconds)) is not None:
            if not line.strip():
                continue
            try:
                heard = listener.hear(line)
            except InvalidInput as fault:
                self._fault(fault)
                continue
            if heard is not None:
                await self._take(heard)
        self.fallback = listener.end()

    def result(self, program: Spoken) -> AgentResult:
        """What came of it. Its status counts beside its word.

        Raises:
            Unavailable: it ended without a last word.
            LimitExceeded: it ran into a limit.
        """
        outcome = program.outcome
        said = self.said or (self.fallback if outcome and outcome.ok else None)
        if said is None:
            raise Unavailable(why_ended(outcome), code="died")
        if said.ok and outcome and not outcome.ok:
            why = last_line(outcome.stderr) or f"status {outcome.exit_status}"
            return self.record.ended(Ending.FAILED, f"It said that it was done, and then broke: {why}")
        return self.record.result("done" if said.ok else "failed", said.summary)

    async def _take(self, heard: Heard) -> None:
        used = heard.used if heard.total is None else _rest(heard.total, self.record.used)
        self.said = heard.said or self.said
        if heard.text or heard.calls or used != Used():
            await self.record.reply(heard.text, used, heard.calls)

    def _fault(self, fault: InvalidInput) -> None:
        self.faults += 1
        if self.faults >= MOST_FAULTS:
            raise InvalidInput(
                f"{self.adapter.program} does not print what it should: {fault.sentence}",
                remedy="Its version may be one that is not known yet.",
            ) from fault


def _rest(total: Used, before: Used) -> Used:
    """What the whole run used beyond what was counted on the way."""
    return Used(
        max(0, total.input_tokens - before.input_tokens),
        max(0, total.output_tokens - before.output_tokens),
        Money(max(0, total.cost.micro_usd - before.cost.micro_usd)),
    )


KIND = CodingCli
