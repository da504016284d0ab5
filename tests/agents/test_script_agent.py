"""Script agents in the real sandbox: what they may, and every way to be bad."""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agents.script_agents import DONE, write_agent, write_good, write_program

from bullpen.agents.base import Agent, AgentResult, AgentTask, Ending
from bullpen.agents.discovery import Source, discover
from bullpen.agents.kinds.script import Script
from bullpen.domain.events import Event
from bullpen.domain.events.agent import AgentStarted, AgentStopped, ModelReplied, NoteTaken
from bullpen.domain.ids import TaskId
from bullpen.domain.money import Money
from bullpen.models.facts import Facts
from bullpen.sandbox.base import Sandbox
from bullpen.tools.base import ToolContext
from bullpen.tools.memory import MemoryJournal

pytestmark = pytest.mark.needs("bubblewrap")
TASK = AgentTask(TaskId("task-1"), "Count the files.", Facts("calc.py"), seconds=30)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder the sandbox's user may reach."""
    with tempfile.TemporaryDirectory(prefix="scripts-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def there(context: ToolContext, sandbox: Sandbox) -> ToolContext:
    return replace(context, sandbox=sandbox)


class Announced(MemoryJournal):
    """A journal that says when there is a note."""

    def __init__(self) -> None:
        super().__init__()
        self.noted = asyncio.Event()

    async def append(self, *events: Event) -> None:
        await super().append(*events)
        if any(isinstance(event, NoteTaken) for event in events):
            self.noted.set()


def script(folder: Path, name: str) -> Script:
    found = discover([Source(folder)])
    assert not found.quarantined
    return Script(found.agents["", name], backoff=0.0)


async def run(there: ToolContext, folder: Path, body: str, limits: str = "{restarts: 0}") -> AgentResult:
    write_agent(folder, "one", body, limits=limits)
    return await script(folder, "one").process(TASK, there)


def notes(there: ToolContext) -> list[str]:
    return [event.text for event in there.journal.events if isinstance(event, NoteTaken)]


@pytest.mark.req("AGT-04")
async def test_a_shell_script_does_a_task(there: ToolContext, tmp_path: Path) -> None:
    write_good(tmp_path / "agents", "counter")
    agent: Agent = script(tmp_path / "agents", "counter")
    await agent.initialize()
    result = await agent.process(TASK, there)
    await agent.cleanup()
    assert (result.done, result.summary, result.data) == (True, "2 files", {"count": "2"})
    assert [type(event) for event in there.journal.events] == [AgentStarted, NoteTaken, AgentStopped]
    assert there.journal.events[0].model.startswith("script:counter@1.0.0+")


async def test_it_is_told_what_to_do_and_what_was_tried(there: ToolContext, tmp_path: Path) -> None:
    body = 'read -r line; printf %s "$line" >/work/told.json;' + DONE
    told = replace(there, tried=frozenset({"mends@calc.py:all"}))
    assert (await run(told, tmp_path / "a", body)).done
    text = (there.workspace / "told.json").read_text()
    assert '"type":"task","protocol":1,"id":"task-1","attempt":1,"text":"Count the files."' in text
    assert '"facts":{"path":"calc.py"},"tried":["mends@calc.py:all"],"seconds":30' in text


async def test_a_run_that_ended_is_not_made_again(there: ToolContext, tmp_path: Path) -> None:
    first = await run(there, tmp_path / "a", "echo x >>/work/runs;" + DONE)
    again = await script(tmp_path / "a", "one").process(TASK, there)
    assert (first.done, again.done, again.summary) == (True, True, "done")
    assert (there.workspace / "runs").read_text() == "x\n"


async def test_a_run_that_died_with_us_begins_on_the_files_as_they_were(
    there: ToolContext, tmp_path: Path
) -> None:
    tree = await there.worktree.snapshot()
    (there.workspace / "half").write_text("done")
    await there.journal.append(AgentStarted(TASK.id, "one", "script:one", 1, tree))
    result = await run(there, tmp_path / "a", "ls /work/half >&2 || " + DONE)
    assert result.done


@pytest.mark.parametrize("word", ["failed", "no-approach", "splendid"])
async def test_its_own_word_of_failure_is_kept(there: ToolContext, tmp_path: Path, word: str) -> None:
    body = f'echo \'{{"type":"result","outcome":"{word}","summary":"could not"}}\''
    result = await run(there, tmp_path / "a", body)
    assert (result.ending, result.summary, result.seen) == (Ending.FAILED, "could not", "")
    assert result.outcome == ("failed" if word == "splendid" else word)


@pytest.mark.req("AGT-07")
async def test_one_that_never_answers_is_ended_at_its_time(there: ToolContext, tmp_path: Path) -> None:
    result = await run(there, tmp_path / "a", "sleep 600", "{seconds: 1.5}")
    assert (result.ending, result.seen) == (Ending.LIMIT, "The time of 1.5 s was used up.")


async def test_an_answer_after_the_deadline_does_not_count(there: ToolContext, tmp_path: Path) -> None:
    body = f'read -r task; read -r cancel; echo "$cancel" >/work/cancel; {DONE}'
    for seconds in (2, 8, 60):  # a machine may be so busy that it has not come so far by then
        result = await run(there, tmp_path / f"a{seconds}", body, f"{{seconds: {seconds}}}")
        assert (result.ending, result.done) == (Ending.LIMIT, False)
        if (there.workspace / "cancel").exists():
            break
    assert '"type":"cancel","id":"task-1"' in (there.workspace / "cancel").read_text()


@pytest.mark.req("AGT-06")
async def test_silence_is_taken_for_death(there: ToolContext, tmp_path: Path) -> None:
    body = 'echo \'{"type":"heartbeat"}\'; sleep 600'
    result = await run(there, tmp_path / "a", body, "{quiet_seconds: 1, restarts: 0}")
    assert (result.ending, result.outcome) == (Ending.FAILED, "")
    assert result.seen == "It said nothing for 1 s."


async def test_only_the_first_answer_counts(there: ToolContext, tmp_path: Path) -> None:
    second = DONE.replace('"done"}', '"other"}')
    result = await run(there, tmp_path / "a", f"{DONE}; {second}")
    assert result.summary == "done"
    assert notes(there) == ["It answered more than once; only the first answer counts."]


async def test_one_that_stays_after_its_answer_is_ended(there: ToolContext, tmp_path: Path) -> None:
    result = await run(there, tmp_path / "a", f"trap '' TERM; {DONE}; while :; do sleep 1; done")
    assert result.done


@pytest.mark.req("AGT-07")
@pytest.mark.parametrize(
    ("body", "limits", "seen"),
    [
        ("yes '{\"type\":\"heartbeat\"}'", "{output_kb: 64, restarts: 0}", "It wrote more output than it may."),
        ("yes >&2", "{output_kb: 64, restarts: 0}", "It wrote more output than it may."),
        ("head -c 2M /dev/zero | tr '\\0' x; sleep 9", "{}", "It wrote a line of more than 1048576 bytes."),
        ('echo \'{"type":"usage","input_tokens":60,"output_tokens":50}\'', "{tokens: 100}", "It used 110 tokens of 100."),
        ('echo \'{"type":"usage","cost_usd":"0.30"}\'', '{cost: "0.25"}', "It cost $0.30 of $0.25."),
    ],
)  # fmt: skip
async def test_a_limit_ends_the_task_and_says_which(
    there: ToolContext, tmp_path: Path, body: str, limits: str, seen: str
) -> None:
    result = await run(there, tmp_path / "a", body, limits)
    assert (result.ending, result.seen) == (Ending.LIMIT, seen)


@pytest.mark.req("AGT-07")
@pytest.mark.needs("processor shares")
async def test_memory_is_limited(there: ToolContext, tmp_path: Path) -> None:
    body = "exec python3 -c 'x = bytearray(300 << 20)'"
    result = await run(there, tmp_path / "a", body, "{memory_mb: 64, restarts: 0}")
    assert (result.ending, result.seen) == (Ending.LIMIT, "It used more memory than it may.")


async def test_one_that_dies_in_the_middle_says_how(there: ToolContext, tmp_path: Path) -> None:
    body = 'echo \'{"type":"progress","text":"begun"}\'; echo \'no such thing\' >&2; exit 3'
    result = await run(there, tmp_path / "a", body)
    assert (result.ending, result.outcome) == (Ending.FAILED, "")
    assert result.seen == "It ended with status 3 without an answer: no such thing"


@pytest.mark.req("AGT-06")
async def test_one_that_died_is_started_again_on_clean_files(there: ToolContext, tmp_path: Path) -> None:
    body = f"ls /work/calc.py >&2 && rm /work/calc.py && kill -9 $$; {DONE}"
    limits = "{restarts: 2}"
    result = await run(there, tmp_path / "a", body, limits)
    assert not result.done
    assert [note for note in notes(there) if "started again" in note] == [
        "It ended by a signal without an answer: /work/calc.py It is started again."
    ] * 2


@pytest.mark.parametrize(
    "line",
    [
        "printf 'Hello, I am a script\\n'",
        "printf '\\377\\376 not utf-8\\n'",
        "printf '[1,2]\\n'",
        'printf \'{"type":"result"}\\n\'',
        'printf \'{"type":"result","id":"task-2","outcome":"done"}\\n\'',
        'printf \'{"type":"result","outcome":"done","data":[1]}\\n\'',
        'printf \'{"type":"usage","input_tokens":-5}\\n\'',
        'printf \'{"type":"usage","cost_usd":"NaN"}\\n\'',
        "printf '{\"type\":[{}]}\\n'",
        "head -c 100000 /dev/zero | tr '\\0' '['; echo",
    ],
)
async def test_garbage_is_noted_and_does_not_keep_it_from_answering(
    there: ToolContext, tmp_path: Path, line: str
) -> None:
    result = await run(there, tmp_path / "a", f"{line}; {DONE}")
    assert result.done
    assert len(notes(there)) == 1
    assert notes(there)[0].startswith("Not understood: ")


async def test_nothing_but_garbage_ends_the_run(there: ToolContext, tmp_path: Path) -> None:
    result = await run(there, tmp_path / "a", f"yes garbage | head -n 100; {DONE}")
    assert (result.ending, result.outcome) == (Ending.FAILED, "")
    assert result.seen.startswith("It wrote 20 lines that are no messages")


async def test_usage_is_counted(there: ToolContext, tmp_path: Path) -> None:
    body = f'echo \'{{"type":"usage","input_tokens":7,"output_tokens":2,"cost_usd":0.01}}\'; {DONE}'
    result = await run(there, tmp_path / "a", body)
    assert (result.used.input_tokens, result.used.output_tokens, result.used.cost) == (7, 2, Money(10_000))
    replies = [event for event in there.journal.events if isinstance(event, ModelReplied)]
    assert [(one.step, one.input_tokens, one.cost_micro_usd) for one in replies] == [(1, 7, 10_000)]


async def test_cancelling_with_a_reason_ends_it_for_good(there: ToolContext, tmp_path: Path) -> None:
    write_agent(tmp_path / "a", "one", 'echo \'{"type":"progress","text":"begun"}\'; sleep 600')
    begun = Announced()
    one = script(tmp_path / "a", "one")
    running = asyncio.create_task(one.process(TASK, replace(there, journal=begun)))
    await asyncio.wait_for(begun.noted.wait(), 30)
    running.cancel("not wanted any more")
    with pytest.raises(asyncio.CancelledError):
        await running
    last = begun.events[-1]
    assert (last.outcome, last.seen) == ("cancelled", "not wanted any more")


@pytest.mark.req("BOX-02")
async def test_it_sees_nothing_of_the_host(
    there: ToolContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "key")
    write_good(tmp_path / "a", "other")
    result = await run(there, tmp_path / "a", f"env >/work/env; ls /opt/agent >/work/files; {DONE}")
    assert result.done
    assert "SECRET" not in (there.workspace / "env").read_text()
    assert (there.workspace / "files").read_text() == "one\n"


async def test_an_agent_of_several_files_has_its_folder(there: ToolContext, tmp_path: Path) -> None:
    folder = tmp_path / "agents" / "two-files"
    write_program(
        folder,
        "run",
        f"#!/bin/sh\n. /opt/agent/words.sh\n{DONE.replace('done', 'done', 1)}; echo $WORD >&2\n",
    )
    (folder / "words.sh").write_text("WORD=spoken\n")
    (folder / "agent.toml").write_text(
        'name = "two-files"\nversion = "1.0"\npurpose = "Has several files."\ncommand = ["./run"]\n'
    )
    result = await script(tmp_path / "agents", "two-files").process(TASK, there)
    assert result.done, result


@pytest.mark.req("AGT-06")
async def test_health_is_asked_in_the_sandbox(sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    manifest = (
        "name: {0}\nversion: 1.0.0\npurpose: Says how it is.\nhealth: [./{0}, --health]\nneeds: [{1}]\n"
    )
    for name, needs, status in (("well", "sh", 0), ("ill", "sh", 1), ("lacking", "no-such-program", 0)):
        write_program(folder, name, f"#!/bin/sh\necho feeling {name} >&2\nexit {status}\n")
        (folder / f"{name}.yaml").write_text(manifest.format(name, needs))
    checkups = {name: await script(folder, name).examine(sandbox) for name in ("well", "ill", "lacking")}
    assert checkups["well"].alive
    assert not checkups["ill"].alive
    assert checkups["ill"].error == "The health command ended: status 1. feeling ill"
    assert (checkups["lacking"].alive, checkups["lacking"].lacking) == (False, ("no-such-program",))
