"""Run the assistants that are installed in a folder of npm packages against a local model server, and say what came.

    python -m tests.agents.real_assistants FOLDER/node_modules/.bin

No account and no network is used. Ends with 1 if one of them did not do as its adapter expects.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.agents.model_server import model_server

from bullpen.agents.base import AgentTask
from bullpen.agents.discovery import Source, discover
from bullpen.agents.fleet import KINDS
from bullpen.agents.kinds.coding_cli import ADAPTERS
from bullpen.agents.means import Means
from bullpen.domain.ids import TaskId
from bullpen.sandbox.choose import choose_sandbox
from bullpen.tools.base import CallKey, ToolContext
from bullpen.tools.memory import MemoryJournal

KEY = "sk-real-key-0123456789abcdef"
MANIFEST = """name: one
version: 1.0.0
purpose: An assistant that is installed here.
kind: {kind}
adapter: {adapter}
model: {model}
command: ['{program}']
secret: THE_KEY
url: {url}
limits: {{seconds: 120, memory_mb: 4096, processes: 256, output_kb: 65536}}
"""
MODELS = {"codex": "gpt-5", "gemini": "gemini-2.5-pro", "opencode": "m", "claude_code": "m", "aider": "m"}


async def one(kind: str, name: str, program: Path) -> bool:
    """Whether it answered, and the key that reached the server was the real one."""
    sandbox, _ = await choose_sandbox()
    with tempfile.TemporaryDirectory(prefix="assistant-") as place:
        Path(place).chmod(0o755)  # noqa: ASYNC240
        agents, work = Path(place) / "agents", Path(place) / "work"
        agents.mkdir()
        work.mkdir()
        async with model_server() as server:
            text = MANIFEST.format(
                kind=kind, adapter=name, model=MODELS[name], program=program, url=server.url
            )
            (agents / "one.yaml").write_text(text)
            found = discover([Source(agents)])
            agent = KINDS.load(kind).registered(found.agents["", "one"], Means(lambda _: KEY))
            context = ToolContext(
                CallKey(TaskId("t"), 1, 0, ""), "one", work, MemoryJournal(), sandbox=sandbox
            )
            result = await agent.process(AgentTask(TaskId("t"), "Say hello."), context)
        well = result.done and result.summary == server.text and all(KEY in key for key in server.keys)
        used = f"{result.used.input_tokens}+{result.used.output_tokens} tokens"
        print(f"{name:12} {kind:10} {'well' if well else 'NOT WELL'}  {used}  {result.summary}")  # noqa: T201
        return well


async def main(folder: Path) -> int:
    """All that are there, by their command line and by the protocol."""
    well: list[bool] = []
    for name in ADAPTERS.names():
        adapter = ADAPTERS.load(name)
        program = folder / adapter.program
        if program.exists():
            well += [
                await one(kind, name, program) for kind in ("coding_cli", *(("acp",) if adapter.acp else ()))
            ]
    return 0 if well and all(well) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]))))
