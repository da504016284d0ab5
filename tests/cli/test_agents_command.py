"""The command for agents, as a person uses it: looking, checking, stopping in one process what another one runs."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agents.script_agents import DONE, write_agent, write_program
from tests.cli.conftest import Result, run_in

WELL = """#!/bin/sh
# ---
# name: well
# version: 1.0.0
# purpose: Is well, and says so.
# health: [./well, --health]
# ---
exit {status}
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home whose agents the sandbox's user may reach."""
    with tempfile.TemporaryDirectory(prefix="agents-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def standing(home: Path, name: str) -> str:
    rows = run_in(home, "agents", "list", "--json").value["agents"]
    return next(one["standing"] for one in rows if one["name"] == name)


@pytest.mark.slow
@pytest.mark.req("AGT-05", "AGT-06")
def test_an_agent_is_listed_checked_stopped_and_restarted(home: Path) -> None:
    write_program(home / "agents", "well", WELL.format(status=3))
    write_program(home / "agents", "faulty", "#!/bin/sh\n")
    listed = run_in(home, "agents")
    assert listed.status == 0
    assert "well" in listed.out
    assert "developer" in listed.out
    assert "set aside" in listed.out
    assert "an executable without a manifest" in listed.out
    checked = run_in(home, "agents", "check", "--json")
    assert checked.status == 1
    assert checked.value[0]["checkup"]["error"] == "The health command ended: status 3."
    assert standing(home, "well") == "drained"
    write_program(home / "agents", "well", WELL.format(status=0))
    assert run_in(home, "agents", "check", "well").status == 0
    assert standing(home, "well") == "ready"
    assert run_in(home, "agents", "stop", "well", "--reason", "too loud").status == 0
    shown = run_in(home, "agents", "show", "well", "--json").value
    assert (shown["standing"], shown["stopped"], shown["generation"]) == ("stopped", "too loud", 2)
    assert run_in(home, "agents", "restart", "well").status == 0
    assert "standing      ready" in run_in(home, "agents", "show", "well").out


@pytest.mark.slow
@pytest.mark.req("AGT-05")
def test_an_agent_is_registered_and_taken_off_the_list(home: Path, tmp_path: Path) -> None:
    place = write_agent(tmp_path, "elsewhere", DONE)
    assert "generation 1" in run_in(home, "agents", "register", place).err
    assert standing(home, "elsewhere") == "ready"
    assert run_in(home, "agents", "unregister", "elsewhere").status == 0
    gone = run_in(home, "agents", "show", "elsewhere")
    assert (gone.status, "There is no agent 'elsewhere'" in gone.err) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("show", "nobody"), 2, "There is no agent 'nobody'"),
        (("stop", "developer"), 2, "developer is a role of the roster"),
        (("register", "/nowhere/agent"), 2, "There is no file 'agent'"),
        (("register", "http://127.0.0.1:1/agent.yaml"), 7, "cannot be reached"),
        (("unregister", "nobody"), 2, "No agent 'nobody' is registered"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    tmp_path: Path, words: tuple[str, ...], status: int, sentence: str
) -> None:
    done: Result = run_in(tmp_path, "agents", *words)
    assert done.status == status
    assert sentence in done.err
    assert "Traceback" not in done.err
