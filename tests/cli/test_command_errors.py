"""Errors are one sentence and what to do next; statuses are those the reference page names."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bullpen.cli.failing import INTERNAL, known_failure, unknown_failure
from bullpen.domain.errors import LimitExceeded

Run = Callable[..., Any]


def said(result: Any) -> None:
    """What every failure has in common."""
    assert "Traceback" not in result.err
    assert "Traceback" not in result.out


@pytest.mark.req("CLI-01")
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("improve", "/nowhere/at/all"), 2, "does not exist"),
        (("roast", "/"), 2, "not in a git repository"),
        (("improve", ".", "--budget", "much"), 2, "not an amount of money"),
        (("improve", ".", "--baseline", "/nowhere.sarif"), 2, "cannot be read"),
        (("improve", ".", "--max", "0"), 2, "0 is not in the range"),
        (("improve", ".", "--resume", "--session", "ses-none"), 2, "no session ses-none"),
        (("verify", "0123456789"), 2, "No change is known"),
        (("items", "show", "item-none"), 2, "no item item-none"),
        (("tasks", "cancel", "task-none"), 2, "no task task-none"),
        (("sessions", "show", "ses-none"), 2, "no session ses-none"),
        (("approve", "apr-none"), 2, "no approval apr-none"),
        (("nonsense",), 2, "No such command"),
        (("completion", "tcsh"), 2, "tcsh"),
    ],
)
def test_a_failure_is_a_sentence_and_a_status(
    bullpen_in: Run, tmp_path: Path, arguments: tuple[str, ...], status: int, words: str
) -> None:
    result = bullpen_in(tmp_path, *arguments)
    said(result)
    assert result.status == status
    assert words in result.err
    assert not result.out


@pytest.mark.req("CLI-01")
@pytest.mark.parametrize(
    "arguments", [("roast", "/"), ("sessions", "show", "ses-none"), ("items", "--nosuch")]
)
def test_with_json_an_error_is_one_object_on_stdout(
    bullpen_in: Run, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    result = bullpen_in(tmp_path, *arguments, "--json")
    assert result.status == 2
    assert set(result.value) == {"error", "sentence", "remedy"}
    assert not result.err


def test_a_home_that_cannot_be_used_is_said_so(bullpen_in: Run) -> None:
    result = bullpen_in(Path("/proc/nowhere"), "sessions")
    said(result)
    assert result.status == 7
    assert "BULLPEN_HOME" in result.err


def test_the_first_known_error_in_nested_groups_is_told() -> None:
    async def fails() -> None:
        raise LimitExceeded("Too much.", remedy="Ask for less.")

    async def group() -> None:
        async with asyncio.TaskGroup() as outer, asyncio.TaskGroup() as inner:
            outer.create_task(asyncio.sleep(10))
            inner.create_task(fails())

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(group())
    failure = known_failure(caught.value)
    assert failure is not None
    assert (failure.sentence, failure.remedy, failure.status) == ("Too much.", "Ask for less.", 5)


@pytest.mark.req("SEC-02")
def test_a_fault_of_our_own_is_kept_in_a_file_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULLPEN_HOME", str(tmp_path))
    token = "ghp_" + "a1" * 18
    failure = unknown_failure(ZeroDivisionError(f"with {token}"), ["improve", f"https://x:{token}@host/repo"])
    assert failure.status == INTERNAL
    log = Path(failure.remedy.rsplit(": ", 1)[1])
    assert log.parent == tmp_path / "logs"
    story = log.read_text()
    assert "ZeroDivisionError" in story
    assert token not in story
    assert token not in failure.sentence


@pytest.mark.req("CLI-01")
def test_help_loads_nothing_heavy(environment_of: Run, tmp_path: Path) -> None:
    program = (
        "import sys; sys.argv = ['bullpen', '--help']\n"
        "from bullpen.cli import main\n"
        "try: main.main()\n"
        "finally: print([m for m in ('sqlalchemy', 'pydantic', 'rich', 'dbos', 'libcst', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment_of(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "[]"
    assert "improve" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [("recipes",), ("analysers",), ("agents",), ("sessions",), ("approvals",), ("doctor",)],
)
def test_every_listing_speaks_json_and_plain_text(bullpen: Run, arguments: tuple[str, ...]) -> None:
    plain = bullpen(*arguments)
    assert plain.status == 0
    assert "\x1b" not in plain.out
    structured = (
        bullpen(*arguments, "--json") if arguments != ("sessions",) else bullpen("sessions", "list", "--json")
    )
    assert structured.status == 0
    assert isinstance(json.loads(structured.out), list | dict)


@pytest.mark.req("OPS-07")
def test_the_doctor_says_what_is_wrong_and_what_to_do(bullpen_in: Run, tmp_path: Path) -> None:
    sick = bullpen_in(tmp_path, "doctor", "--json", PATH="/nowhere", BULLPEN_SANDBOX="scripted")
    checks = {check["name"]: check for check in sick.value["checks"]}
    assert sick.status == 6
    assert sick.value["ok"] is False
    assert checks["git"]["state"] == "problem"
    assert checks["git"]["remedy"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_and_the_words_they_ask_for(bullpen: Run, shell: str) -> None:
    assert "_BULLPEN_COMPLETE" in bullpen("completion", shell).out
    asked = bullpen(_BULLPEN_COMPLETE="bash_complete", COMP_WORDS="bullpen impr", COMP_CWORD="1")
    assert asked.out.strip() == "plain,improve"


@pytest.mark.req("CLI-01", "QA-01")
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "nope", "there is no such file"),
        (lambda folder: folder, "it is a folder"),
        (lambda folder: Path("/bin/true"), "is no Python that the sandbox could use"),
        (lambda folder: Path(__file__), "it is not a program"),
        (lambda folder: Path("9.99"), "is no Python of this machine"),
    ],
)
def test_what_is_no_python_is_refused_before_any_work(
    bullpen_in: Run, tmp_path: Path, faulty: Path, make: Callable[[Path], Path], says: str
) -> None:
    wanted = make(tmp_path)
    refused = bullpen_in(tmp_path / "home", "improve", faulty, "--python", wanted)
    assert refused.status == 2
    assert says in refused.err
    assert str(wanted) in refused.err
    assert "--python 3.12" in refused.err
    assert bullpen_in(tmp_path / "home", "sessions", "list", "--json").value == []
    by_variable = bullpen_in(tmp_path / "home", "improve", faulty, BULLPEN_PYTHON=str(wanted))
    assert (by_variable.status, by_variable.err) == (2, refused.err)


def test_a_folder_is_told_its_interpreter(bullpen_in: Run, tmp_path: Path, faulty: Path) -> None:
    there = Path(sys.prefix)
    refused = bullpen_in(tmp_path / "home", "improve", faulty, "--python", there)
    assert f"its interpreter is {there / 'bin' / 'python'}" in refused.err
