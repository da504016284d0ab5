"""What bubblewrap does to the machine it runs on: nothing that stays."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bullpen.domain.errors import InvalidInput
from bullpen.sandbox.backends.bubblewrap import Bubblewrap
from bullpen.sandbox.base import Command, End, Limits, Mount
from bullpen.sandbox.linux import cgroups

pytestmark = pytest.mark.needs("bubblewrap")


@pytest.fixture
async def sandbox() -> Bubblewrap:
    return Bubblewrap()


@pytest.fixture
def private() -> Iterator[Path]:
    """A workspace below a folder that only its owner may enter, as a data folder in somebody's home is."""
    with tempfile.TemporaryDirectory(prefix="private-") as name:
        workspace = Path(name, "repo")
        workspace.mkdir(mode=0o700)
        yield workspace


def git(folder: Path, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *words], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def owners(folder: Path) -> set[int]:
    return {path.stat().st_uid for path in folder.iterdir()}


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def traces() -> list[str]:
    """Groups and mounts of this process."""
    hierarchy = cgroups.find_hierarchy()
    parents = hierarchy.parents.values() if hierarchy else ()
    groups = [str(group) for parent in parents for group in parent.glob(f"bullpen-{os.getpid()}-*")]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return groups + [line for line in mounts if f"/run/bullpen-mounts/{os.getpid()}" in line]


async def test_a_workspace_in_a_private_folder_can_be_used(sandbox: Bubblewrap, private: Path) -> None:
    (private / "file").write_text("x")
    (private / "file").chmod(0o600)
    command = Command(("sh", "-c", "cat file; echo y >>file; echo n >new"), private, workspace_writable=True)
    outcome = await sandbox.run(command)
    assert (outcome.stdout, outcome.changed) == (b"x", ("file", "new"))


@pytest.mark.parametrize("use_idmap", [True, False])
async def test_git_on_the_host_stays_content(private: Path, use_idmap: bool) -> None:
    sandbox = Bubblewrap(use_idmap=use_idmap)
    git(private, "init", "-q")
    (private / "kept").write_text("x\n")
    (private / "folder").mkdir()
    (private / "folder" / "changed").write_text("x\n")
    git(private, "add", ".")
    command = Command(("sh", "-c", "echo y >folder/changed; echo n >new"), private, workspace_writable=True)
    assert (await sandbox.run(command)).ok
    assert git(private, "status", "--porcelain") == "AM folder/changed\nA  kept\n?? new\n"


@pytest.mark.needs("mounts")
async def test_owners_on_disk_stay_as_they_were(sandbox: Bubblewrap, private: Path) -> None:
    (private / "old").write_text("x")
    await sandbox.run(Command(("sh", "-c", "echo y >old; echo n >new"), private, workspace_writable=True))
    assert owners(private) == {os.geteuid()}


async def test_no_descriptor_group_or_mount_stays(sandbox: Bubblewrap, private: Path) -> None:
    async def all_ways() -> None:
        await sandbox.run(Command(("true",), private, workspace_writable=True))
        await sandbox.run(Command(("sleep", "9"), limits=Limits(wall_seconds=0.05)))
        await sandbox.run(Command(("true",), private, workspace_writable=True, hosts=("a.example:80",)))
        await sandbox.run(Command(("sleep", "9"), hosts=("a.example:80",), limits=Limits(wall_seconds=0.05)))
        with pytest.raises(InvalidInput):
            await sandbox.run(Command(("true",), private, cwd="/work/none"))
        task = asyncio.create_task(sandbox.run(Command(("sleep", "9"), private)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    await all_ways()
    before = open_descriptors()
    for _ in range(5):
        await all_ways()
    assert open_descriptors() == before
    assert traces() == []


async def test_a_writable_single_file_can_be_mounted(sandbox: Bubblewrap, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    mounts = (Mount(tmp_path / "file", "/opt/one", writable=True),)
    assert (await sandbox.run(Command(("sh", "-c", "echo y >>/opt/one"), mounts=mounts))).ok
    assert (tmp_path / "file").read_text() == "xy\n"


@pytest.mark.needs("gcc")
async def test_the_callers_environment_meets_no_privileged_program(
    sandbox: Bubblewrap, private: Path
) -> None:
    """A library preloaded from the workspace may run only once root has been given up."""
    source = private / "evil.c"
    source.write_text(
        "#include <stdio.h>\n#include <unistd.h>\n__attribute__((constructor)) static void f(void)"
        '{ printf("%d\\n", (int)geteuid()); fflush(stdout); }\n'
    )
    built = await sandbox.run(
        Command(("gcc", "-shared", "-fPIC", "-o", "evil.so", "evil.c"), private, workspace_writable=True)
    )
    assert built.ok, built.stderr
    outcome = await sandbox.run(Command(("true",), private, env={"LD_PRELOAD": "/work/evil.so"}))
    assert outcome.stdout == b"10001\n"


async def test_killing_the_launcher_counts_as_a_signal(sandbox: Bubblewrap) -> None:
    outcome = await sandbox.run(Command(("sh", "-c", "kill -KILL $$")))
    assert (outcome.end, outcome.exit_status) == (End.SIGNALLED, None)


LEAVES = """\
import os, signal, subprocess
from pathlib import Path
from bullpen.sandbox.base import Limits
from bullpen.sandbox.linux import cgroups, idmap
group = cgroups.make_group(cgroups.find_hierarchy(), Limits())
dying = subprocess.Popen(["sleep", "0.3"], stdout=subprocess.DEVNULL, start_new_session=True)
cgroups.join(group, dying.pid)
if os.geteuid() == 0:
    idmap.attach(Path(os.environ["SOURCE"]), 1000)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[int]:
    """A process that was killed while it ran something, and that nobody has waited for yet."""
    environment = {**os.environ, "SOURCE": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", LEAVES], env=environment)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


async def test_what_a_killed_process_left_is_taken_away(sandbox: Bubblewrap, killed: int) -> None:
    """Also while the last process in its group still has to end."""
    hierarchy = cgroups.find_hierarchy()
    if hierarchy is None:
        pytest.skip("no control groups here")

    def left() -> list[Path]:
        groups = (
            each for parent in hierarchy.parents.values() for each in parent.glob(f"bullpen-{killed}-*")
        )
        return [*groups, *Path("/run/bullpen-mounts").glob(str(killed))]

    assert left()
    await sandbox.tidy()
    assert left() == []
