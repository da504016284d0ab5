"""Choosing: what works is chosen, what does not is said, and nothing runs unsandboxed."""

import sys
from pathlib import Path

import pyseccomp
import pytest

import bullpen
from bullpen.domain.errors import NotFound
from bullpen.sandbox.backends.bubblewrap import Bubblewrap
from bullpen.sandbox.backends.scripted import Scripted
from bullpen.sandbox.base import Command, End, Mount, Outcome
from bullpen.sandbox.choose import BACKENDS, choose_sandbox

CHOOSE = """
import asyncio
from bullpen.domain.errors import Missing
from bullpen.sandbox.choose import choose_sandbox
try:
    print("chose", asyncio.run(choose_sandbox())[1])
except Missing as error:
    print(error.sentence)
    print(error.remedy)
"""


def outcome(argv: tuple[str, ...], stdout: bytes = b"") -> Outcome:
    return Outcome(argv, End.EXITED, 0, stdout, b"", 0.0, 0.0, 0)


@pytest.mark.req("BOX-01")
async def test_auto_takes_one_that_really_runs() -> None:
    sandbox, probe = await choose_sandbox()
    assert probe.works
    assert probe.backend in {"bubblewrap", "docker"}
    assert (await sandbox.run(Command(("echo", "hello")))).stdout == b"hello\n"


@pytest.mark.req("BOX-01")
async def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(NotFound, match="bubblewrap"):
        await choose_sandbox("chroot")


async def test_the_double_is_had_by_name_only() -> None:
    _, probe = await choose_sandbox("scripted")
    assert probe.weaknesses == ("runs nothing: its answers are prepared",)


@pytest.mark.req("BOX-01")
@pytest.mark.needs("bubblewrap")
async def test_where_nothing_works_the_reasons_and_the_remedies_are_said() -> None:
    """A sandbox is such a place: inside it no further namespace can be made, and no engine answers."""
    outer = Bubblewrap()
    source, packages = Path(bullpen.__file__).parent.parent, Path(pyseccomp.__file__).parent
    mounts = [Mount(source, "/opt/src"), Mount(packages, "/opt/site")]
    if sys.base_prefix != "/usr":
        mounts.append(Mount(Path(sys.base_prefix), sys.base_prefix))
    found = await outer.run(
        Command(
            (f"{sys.base_prefix}/bin/python3", "-c", CHOOSE),
            mounts=tuple(mounts),
            env={"PYTHONPATH": "/opt/src:/opt/site", "PYTHONDONTWRITEBYTECODE": "1"},
        )
    )
    sentence, remedy = found.stdout.decode().splitlines()
    assert sentence.startswith(
        "Nothing here can run code in isolation. The bubblewrap sandbox does not work here: "
    )
    assert "docker" in sentence
    assert "--security-opt seccomp=unconfined" in remedy
    assert "apt-get install docker.io" in remedy
    assert "Traceback" not in found.stderr.decode()


def test_every_file_in_the_folder_is_a_backend_of_its_name() -> None:
    assert {name: BACKENDS.load(name).name for name in BACKENDS.names()} == {
        name: name for name in BACKENDS.names()
    }


async def test_the_double_answers_by_argument_vector_and_keeps_what_was_asked() -> None:
    double = Scripted({("pytest",): outcome(("pytest",), b"1 passed\n")})
    seen: list[bytes] = []
    answer = await double.run(Command(("pytest",)), seen.append)
    assert answer.ok
    assert seen == [b"1 passed\n"]
    assert [command.argv for command in double.commands] == [("pytest",)]
    with pytest.raises(NotFound, match="ruff"):
        await double.run(Command(("ruff",)))


async def test_the_double_answers_by_function() -> None:
    double = Scripted(lambda command: outcome(command.argv, command.stdin))
    assert (await double.run(Command(("cat",), stdin=b"x"))).stdout == b"x"
