"""The Agent Client Protocol against an agent written with the official package, and against bad ones."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import acp
import pytest
from tests.agents.script_agents import write_program

from bullpen.agents.base import AgentResult, AgentTask, Ending
from bullpen.agents.discovery import Registration, Source, discover
from bullpen.agents.kinds.acp import Acp
from bullpen.agents.means import Means
from bullpen.domain.errors import InvalidInput
from bullpen.domain.events.agent import ModelReplied
from bullpen.domain.ids import TaskId
from bullpen.sandbox.base import Command, Mount, Outcome, Sandbox
from bullpen.tools.base import ToolContext

pytestmark = pytest.mark.needs("bubblewrap")
PYTHON, HOME = Path(sys.executable).resolve(), Path(sys.base_prefix).resolve()
OFFICIAL = """
import asyncio, pathlib
from acp import (PROTOCOL_VERSION, InitializeResponse, NewSessionResponse, PromptResponse, run_agent, start_tool_call,
                 text_block, update_agent_message)

class Writer:
    def on_connect(self, client):
        self.client = client

    async def initialize(self, protocol_version, **values):
        return InitializeResponse(protocol_version=PROTOCOL_VERSION)

    async def new_session(self, cwd, **values):
        self.folder = pathlib.Path(cwd)
        return NewSessionResponse(session_id="one")

    async def prompt(self, prompt, session_id, **values):
        await self.client.session_update(session_id=session_id, update=start_tool_call("call", "write", kind="edit"))
        (self.folder / "made.txt").write_text(prompt[0].text)
        await self.client.session_update(session_id=session_id, update=update_agent_message(text_block("Written.")))
        return PromptResponse(stop_reason="end_turn")

    async def cancel(self, session_id, **values):
        pass

asyncio.run(run_agent(Writer()))
"""


@dataclass(frozen=True)
class WithPython:
    """A sandbox that also shows the interpreter that runs the tests, and its packages."""

    inner: Sandbox

    async def run(self, command: Command, on_output: Callable[[bytes], None] | None = None) -> Outcome:
        packages = Mount(Path(acp.__file__).parent.parent, "/opt/packages")
        own = () if HOME.is_relative_to("/usr") else (Mount(HOME, str(HOME)),)
        env = {**command.env, "PYTHONPATH": "/opt/packages", "PYTHONDONTWRITEBYTECODE": "1"}
        return await self.inner.run(
            replace(command, mounts=(*command.mounts, *own, packages), env=env), on_output
        )


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder the sandbox's user may reach."""
    with tempfile.TemporaryDirectory(prefix="acp-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def peer(folder: Path, text: str) -> Registration:
    write_program(folder / "one", "agent", text)
    manifest = "name: one\nversion: 1.0.0\npurpose: Speaks the protocol.\nkind: acp\ncommand: [./agent]\n"
    (folder / "one" / "agent.yaml").write_text(manifest)
    return discover([Source(folder)]).agents["", "one"]


async def run(context: ToolContext, sandbox: Sandbox, folder: Path, text: str) -> AgentResult:
    agent = Acp.registered(peer(folder, text), Means())
    await agent.initialize()
    task = AgentTask(TaskId("task-1"), "Write this.", seconds=60)
    return await agent.process(task, replace(context, sandbox=sandbox))


@pytest.mark.req("AGT-04")
async def test_an_agent_of_the_official_package(context: ToolContext, sandbox: Sandbox, folder: Path) -> None:
    result = await run(context, WithPython(sandbox), folder, f"#!{PYTHON}\n{OFFICIAL}")
    assert (result.done, result.summary) == (True, "Written."), result
    assert (context.workspace / "made.txt").read_text() == "Write this."
    calls = [
        one for event in context.journal.events if isinstance(event, ModelReplied) for one in event.calls
    ]
    assert calls == [("call", "edit", '{"title": "write"}')]


ANSWER = """#!/bin/sh
read -r hello
echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}'
read -r new
"""


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("#!/bin/sh\nexit 3\n", "It ended with status 3 without an answer."),
        ("#!/bin/sh\nyes garbage\n", "Not a JSON object: b'garbage'."),
        (ANSWER.replace('"protocolVersion":1', '"protocolVersion":9'), "It speaks version 9 of the protocol, and Bullpen 1."),
        (ANSWER.replace('"protocolVersion":1', '"protocolVersion":"x"'), "Its answer to initialize is not of the protocol"),
        (ANSWER + 'echo \'{"id":2,"error":{"code":-32000,"message":"Authentication required"}}\'', "It refused session/new: Authentication required."),
        (ANSWER + 'echo \'{"id":[2],"result":null}\'; echo \'{"id":2,"result":null}\'', "Its answer to session/new is not of the protocol"),
        (ANSWER + 'yes \'{"method":"session/update","params":[1]}\'', "It wrote more output than it may."),
    ],
)  # fmt: skip
async def test_what_is_not_the_protocol_ends_the_run(
    context: ToolContext, sandbox: Sandbox, folder: Path, text: str, seen: str
) -> None:
    result = await run(context, sandbox, folder, text)
    assert result.seen.startswith(seen)
    assert (result.ending, result.outcome) == (Ending.LIMIT if "more output" in seen else Ending.FAILED, "")


@pytest.mark.parametrize(
    ("reason", "ending"),
    [("max_tokens", Ending.LIMIT), ("refusal", Ending.FAILED), ("cancelled", Ending.FAILED)],
)
async def test_why_it_stopped_counts(
    context: ToolContext, sandbox: Sandbox, folder: Path, reason: str, ending: Ending
) -> None:
    text = (
        ANSWER + 'echo \'{"id":2,"result":{"sessionId":"s"}}\'; read -r prompt; '
        f'echo \'{{"id":3,"result":{{"stopReason":"{reason}"}}}}\'\n'
    )
    assert (await run(context, sandbox, folder, text)).ending is ending


def test_an_assistant_that_does_not_speak_it_is_refused(folder: Path) -> None:
    registration = peer(folder, "#!/bin/sh\n")
    manifest = replace(registration.manifest, adapter="codex")
    with pytest.raises(InvalidInput, match="codex does not speak the Agent Client Protocol"):
        Acp.registered(replace(registration, manifest=manifest), Means())
