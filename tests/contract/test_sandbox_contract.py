"""What every sandbox that runs things must hold, and the escapes it must survive. Everything here really runs."""

import asyncio
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bullpen.domain.errors import InvalidInput
from bullpen.sandbox.backends.bubblewrap import Bubblewrap, Rights
from bullpen.sandbox.backends.remote_docker import RemoteDocker
from bullpen.sandbox.base import MEBIBYTE, Backend, Command, End, Limits, Mount, Network, Outcome, Talk
from bullpen.sandbox.choose import BACKENDS

SMALL = Limits(
    cpus=1.0,
    memory_bytes=192 * MEBIBYTE,
    processes=32,
    scratch_bytes=16 * MEBIBYTE,
    file_bytes=8 * MEBIBYTE,
    wall_seconds=60,
    output_bytes=256 * 1024,
    disk_bytes=32 * MEBIBYTE,
)
LIMITS_FOR_MANY = replace(SMALL, processes=8 * SMALL.processes)  # where they share one limit
_RUNNING = tuple(name for name in BACKENDS.names() if name != "scripted")
# The ways bubblewrap works on poorer machines: without control groups, without mapped mounts, without root.
_POORER = {
    "bubblewrap-rlimits": {"use_cgroups": False},
    "bubblewrap-chown": {"use_idmap": False},
    "bubblewrap-userns": {"rights": Rights.DROPPED, "use_cgroups": False},
}
_SHARING = (
    "bubblewrap",
    "docker",
    "remote_docker",
    "bubblewrap-chown",
)  # those that can limit the share of the processors
_ELSEWHERE = ("remote_docker",)  # its files are copies, and no single hosts can be reached from there
_HERE = tuple(name for name in (*_RUNNING, *_POORER) if name not in _ELSEWHERE)
_OPEN_BASE = Path("/tmp")  # enterable by every user, unlike the usual folder for tests


def _way(name: str) -> object:
    """The embedded default is held to everything in the fast part too; the others take their time."""
    machine = ("bubblewrap", "root") if name in _POORER else (name,)
    slow = () if name == "bubblewrap" else (pytest.mark.slow,)
    return pytest.param(name, marks=(pytest.mark.needs(*machine), *slow))


@pytest.fixture(params=[_way(name) for name in (*_RUNNING, *_POORER)])
async def sandbox(request: pytest.FixtureRequest) -> Backend:
    name: str = request.param
    if name == "remote_docker":
        return RemoteDocker(environment=request.getfixturevalue("remote_engine"))
    return replace(Bubblewrap(), **_POORER[name]) if name in _POORER else BACKENDS.load(name)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder whose parents every user may enter: the sandbox's user may be the one who mounts it."""
    with tempfile.TemporaryDirectory(prefix="sandbox-", dir=_OPEN_BASE) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "work space"
    folder.mkdir()
    (folder / "kept.txt").write_text("kept\n")
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def modes_in(folder: Path) -> dict[str, int]:
    return {entry.name: stat.S_IMODE(entry.lstat().st_mode) for entry in folder.iterdir()}


def write(path: Path, text: str) -> None:
    path.write_text(text)


async def shell(sandbox: Backend, script: str, command: Command | None = None) -> Outcome:
    asked = command or Command((), limits=SMALL)
    return await sandbox.run(replace(asked, argv=("sh", "-c", script)))


async def python(sandbox: Backend, script: str, command: Command | None = None) -> Outcome:
    asked = command or Command((), limits=SMALL)
    return await sandbox.run(replace(asked, argv=("python3", "-c", script)))


# --- outcomes ---------------------------------------------------------------------------------------------------------


@pytest.mark.req("BOX-06")
async def test_exit_status_and_both_outputs_are_told_apart(sandbox: Backend) -> None:
    outcome = await shell(sandbox, "echo out; echo err >&2; exit 7")
    assert (outcome.end, outcome.exit_status) == (End.EXITED, 7)
    assert (outcome.stdout, outcome.stderr) == (b"out\n", b"err\n")
    assert not outcome.ok
    assert outcome.wall_seconds > 0


@pytest.mark.req("BOX-06")
@pytest.mark.parametrize("status", [1, 2, 126, 127, 129, 255])
async def test_an_ordinary_exit_status_is_not_taken_for_a_signal(sandbox: Backend, status: int) -> None:
    outcome = await shell(sandbox, f"exit {status}")
    assert (outcome.end, outcome.exit_status) == (End.EXITED, status)


@pytest.mark.req("BOX-06")
async def test_a_missing_program_is_status_127(sandbox: Backend) -> None:
    outcome = await sandbox.run(Command(("no-such-program",), limits=SMALL))
    assert (outcome.end, outcome.exit_status) == (End.EXITED, 127)


@pytest.mark.req("BOX-06")
async def test_death_by_signal_is_said(sandbox: Backend) -> None:
    outcome = await shell(sandbox, "kill -SEGV $$")
    assert (outcome.end, outcome.exit_status) == (End.SIGNALLED, None)


@pytest.mark.req("BOX-06")
async def test_processor_time_is_measured(sandbox: Backend) -> None:
    outcome = await python(sandbox, "import time\nwhile time.process_time() < 0.5: pass")
    assert outcome.ok
    if "processor time and memory use not measured" not in (await sandbox.probe()).weaknesses:
        assert 0.4 < outcome.cpu_seconds < 5
        assert 2 * MEBIBYTE < outcome.peak_memory_bytes <= SMALL.memory_bytes


async def test_input_is_passed_on(sandbox: Backend) -> None:
    data = os.urandom(300_000)
    limits = replace(SMALL, output_bytes=MEBIBYTE)
    outcome = await sandbox.run(Command(("cat",), stdin=data, limits=limits))
    assert outcome.stdout == data


async def test_without_input_standard_input_is_at_its_end(sandbox: Backend) -> None:
    assert (await sandbox.run(Command(("cat",), limits=SMALL))).stdout == b""


async def test_output_is_handed_over_while_it_comes(sandbox: Backend, workspace: Path) -> None:
    seen: list[bytes] = []
    command = Command(("sh", "-c", "echo first; echo second >&2"), workspace=workspace, limits=SMALL)
    await sandbox.run(command, seen.append)
    assert sorted(b"".join(seen).splitlines()) == [b"first", b"second"]


async def test_a_conversation_goes_back_and_forth(sandbox: Backend) -> None:
    """Each question is asked only after the answer to the one before, so nothing is held back to the end."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def says() -> AsyncIterator[bytes]:
        for question in (b"one\n", b"two\n"):
            yield question
            answer = b""
            while not answer.endswith(b"\n"):
                answer += await heard.get()
            answers.append(answer)

    answers: list[bytes] = []
    script = "while read -r word; do echo heard $word; echo aside >&2; done; echo end >&2"
    talk = Talk(says(), heard.put_nowait)
    outcome = await shell(sandbox, script, Command((), limits=SMALL, talk=talk))
    assert answers == [b"heard one\n", b"heard two\n"]
    assert (outcome.stdout, outcome.ok) == (b"heard one\nheard two\n", True)
    assert outcome.stderr == b"aside\naside\nend\n"


async def test_one_that_ends_without_listening_is_not_waited_for(sandbox: Backend) -> None:
    async def says() -> AsyncIterator[bytes]:
        yield bytes(1 << 20)
        await asyncio.get_running_loop().create_future()

    outcome = await shell(sandbox, "exit 3", Command((), limits=SMALL, talk=Talk(says(), lambda _: None)))
    assert (outcome.end, outcome.exit_status) == (End.EXITED, 3)


async def test_a_conversation_ends_at_its_time_too(sandbox: Backend) -> None:
    async def says() -> AsyncIterator[bytes]:
        yield b"hello\n"
        await asyncio.get_running_loop().create_future()

    heard: list[bytes] = []
    command = Command(("cat",), limits=replace(SMALL, wall_seconds=2), talk=Talk(says(), heard.append))
    outcome = await sandbox.run(command)
    assert outcome.end is End.TIMEOUT
    assert b"".join(heard) == b"hello\n"


async def test_a_conversation_can_be_cancelled(sandbox: Backend) -> None:
    said, closed = asyncio.Event(), asyncio.Event()

    async def says() -> AsyncIterator[bytes]:
        try:
            yield b"hello\n"
            await asyncio.get_running_loop().create_future()
        finally:
            closed.set()

    command = Command(("cat",), limits=SMALL, talk=Talk(says(), lambda _: said.set()))
    task = asyncio.create_task(sandbox.run(command))
    await asyncio.wait_for(said.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()


@pytest.mark.parametrize("odd", [b"a b\n$(id)'\"\\", "ünï".encode(), b"not utf-8 \xff"])
async def test_arguments_and_variables_arrive_byte_for_byte_or_are_refused(
    sandbox: Backend, odd: bytes
) -> None:
    word = os.fsdecode(odd)
    script = 'import os,sys; sys.stdout.buffer.write(os.fsencode(sys.argv[1]+"|"+os.environ["ODD"]))'
    command = Command(("python3", "-c", script, word), env={"ODD": word}, limits=SMALL)
    if "docker" in sandbox.name and b"\xff" in odd:
        with pytest.raises(InvalidInput, match="UTF-8"):
            await sandbox.run(command)
    else:
        assert (await sandbox.run(command)).stdout == odd + b"|" + odd


# --- the workspace ----------------------------------------------------------------------------------------------------


@pytest.mark.req("BOX-06")
async def test_changes_are_found_written_created_and_removed(sandbox: Backend, workspace: Path) -> None:
    (workspace / "deep").mkdir()
    for name in ("same", "written", "removed", "deep/replaced"):
        (workspace / name).write_text("before")
    script = "echo x >written; rm removed; echo n >new; echo r >t; mv t deep/replaced; mkdir d; touch d/x"
    command = Command((), workspace=workspace, workspace_writable=True, limits=SMALL)
    outcome = await shell(sandbox, script, command)
    assert outcome.ok, outcome.stderr
    assert outcome.changed == ("d/x", "deep/replaced", "new", "removed", "written")
    assert (workspace / "written").read_text() == "x\n"


async def test_a_change_that_puts_size_and_time_back_is_still_found(
    sandbox: Backend, workspace: Path
) -> None:
    script = "import os; s=os.stat('kept.txt'); open('kept.txt','w').write('kep!\\n'); os.utime('kept.txt', ns=(s.st_atime_ns,s.st_mtime_ns))"
    command = Command((), workspace=workspace, workspace_writable=True, limits=SMALL)
    outcome = await python(sandbox, script, command)
    assert outcome.ok, outcome.stderr
    assert outcome.changed == ("kept.txt",)


async def test_odd_file_names_survive(sandbox: Backend, workspace: Path) -> None:
    names = [b"with space", b"with\nnewline", b"not-utf8-\xff\xfe", b"-rf", b"'quote\""]
    for name in names[:3]:
        write(workspace / os.fsdecode(name), "before")
    script = f"import os\nfor n in {names!r}: open(os.path.join(b'.', n), 'ab').write(b'x')"
    command = Command((), workspace=workspace, workspace_writable=True, limits=SMALL)
    outcome = await python(sandbox, script, command)
    assert outcome.ok, outcome.stderr
    assert sorted(map(os.fsencode, outcome.changed)) == sorted(names)


async def test_files_of_ours_can_be_changed_in_every_way(sandbox: Backend, workspace: Path) -> None:
    (workspace / "private").write_text("x")
    (workspace / "private").chmod(0o600)
    script = "chmod +x private && touch -d 2001-01-01 private && echo y >>private && ln private l && ls /work"
    command = Command((), workspace=workspace, workspace_writable=True, limits=SMALL)
    outcome = await shell(sandbox, script, command)
    assert outcome.ok, outcome.stderr
    assert (workspace / "private").read_text() == "xy\n"
    assert stat.S_IMODE((workspace / "private").stat().st_mode) & stat.S_IXUSR


async def test_a_read_only_workspace_stays_as_it_was(sandbox: Backend, workspace: Path) -> None:
    outcome = await shell(
        sandbox, "cat kept.txt; echo x >kept.txt; touch new", Command((), workspace=workspace, limits=SMALL)
    )
    assert outcome.stdout == b"kept\n"
    assert outcome.exit_status != 0
    assert outcome.changed == ()
    assert names_in(workspace) == ["kept.txt"]


@pytest.mark.req("BOX-04")
async def test_what_git_obeys_on_the_host_cannot_be_written(sandbox: Backend, workspace: Path) -> None:
    (workspace / ".git" / "hooks").mkdir(parents=True)
    (workspace / ".git" / "config").write_text("[core]\n")
    script = "echo '[core] fsmonitor=evil' >>.git/config; touch .git/hooks/x; mv .git old; rm -rf .git; mkdir .git/y"
    command = Command((), workspace=workspace, workspace_writable=True, limits=SMALL)
    await shell(sandbox, script, command)
    assert (workspace / ".git" / "config").read_text() == "[core]\n"
    assert list((workspace / ".git" / "hooks").iterdir()) == []


async def test_mounts_appear_at_their_targets(sandbox: Backend, workspace: Path, tmp_path: Path) -> None:
    shared, cache = tmp_path / "shared", tmp_path / "cache"
    for folder in (shared, cache):
        folder.mkdir()
        (folder / "file").write_text(folder.name)
    mounts = (Mount(shared, "/opt/a/shared"), Mount(cache, "/opt/cache", writable=True))
    command = Command((), workspace=workspace, mounts=mounts, limits=SMALL)
    script = "cat /opt/a/shared/file /opt/cache/file; echo x >/opt/cache/new; echo x >/opt/a/shared/file"
    outcome = await shell(sandbox, script, command)
    assert outcome.stdout == b"sharedcache"
    assert (cache / "new").read_text() == "x\n"
    assert (shared / "file").read_text() == "shared"


async def test_a_mount_that_does_not_exist_is_refused(sandbox: Backend, tmp_path: Path) -> None:
    command = Command(("true",), mounts=(Mount(tmp_path / "none", "/opt/x"),), limits=SMALL)
    with pytest.raises(InvalidInput, match="does not exist"):
        await sandbox.run(command)


async def test_a_mount_through_a_link_in_the_workspace_is_refused(sandbox: Backend, workspace: Path) -> None:
    (workspace / "link").symlink_to("/etc")
    command = Command(("true",), workspace=workspace, mounts=(Mount(workspace, "/work/link/x"),))
    with pytest.raises(InvalidInput, match="link"):
        await sandbox.run(command)


async def test_a_folder_that_does_not_exist_is_refused(sandbox: Backend, workspace: Path) -> None:
    with pytest.raises(InvalidInput):
        await sandbox.run(Command(("true",), workspace=workspace, cwd="/work/none", limits=SMALL))


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("BOX-02", "BOX-04")
async def test_endless_loop_ends_at_its_time(sandbox: Backend) -> None:
    outcome = await shell(sandbox, "while :; do :; done", Command((), limits=replace(SMALL, wall_seconds=1)))
    assert (outcome.end, outcome.exit_status) == (End.TIMEOUT, None)
    assert outcome.wall_seconds >= 1


@pytest.mark.req("BOX-04")
async def test_one_that_ignores_polite_signals_ends_at_its_time(sandbox: Backend) -> None:
    script = "trap '' TERM INT HUP; echo ready; while :; do sleep 1; done"
    outcome = await shell(sandbox, script, Command((), limits=replace(SMALL, wall_seconds=2)))
    assert outcome.end is End.TIMEOUT
    assert outcome.stdout == b"ready\n"


@pytest.mark.req("BOX-02", "BOX-04")
async def test_endless_output_is_cut_at_its_limit(sandbox: Backend) -> None:
    outcome = await shell(sandbox, "yes")
    assert outcome.end is End.OUTPUT
    assert len(outcome.stdout) == SMALL.output_bytes


@pytest.mark.req("BOX-02", "BOX-04")
async def test_a_gibibyte_of_output_is_neither_kept_nor_read_to_its_end(sandbox: Backend) -> None:
    outcome = await shell(sandbox, "head -c 1G /dev/zero; echo done >&2")
    assert outcome.end is End.OUTPUT
    assert (len(outcome.stdout), outcome.stderr) == (SMALL.output_bytes, b"")


@pytest.mark.req("BOX-02")
async def test_endless_error_output_is_cut_too(sandbox: Backend) -> None:
    outcome = await shell(sandbox, "echo said; yes >&2")
    assert outcome.end is End.OUTPUT
    assert (outcome.stdout, len(outcome.stderr)) == (b"said\n", SMALL.output_bytes)


@pytest.mark.req("BOX-02", "BOX-04")
async def test_memory_hog_is_ended(sandbox: Backend) -> None:
    probe = await sandbox.probe()
    outcome = await python(sandbox, "x = []\nwhile True: x.append(bytearray(8 << 20))")
    if "memory limit per process only" in probe.weaknesses:
        assert b"MemoryError" in outcome.stderr
    else:
        assert (outcome.end, outcome.exit_status) == (End.MEMORY, None)


@pytest.mark.req("BOX-02", "BOX-04")
@pytest.mark.needs("processor shares")  # had where there are control groups
@pytest.mark.parametrize("sandbox", [_way(name) for name in _SHARING], indirect=True)
async def test_memory_is_limited_for_all_processes_together(sandbox: Backend) -> None:
    script = (
        "import os,time\n"
        "for _ in range(4):\n  if os.fork()==0: x=bytearray(100<<20); time.sleep(60); os._exit(0)\n"
        "raise SystemExit(os.wait()[1] != 0)\n"
    )
    outcome = await python(sandbox, script)
    assert not outcome.ok
    assert outcome.end in {End.MEMORY, End.EXITED}  # an engine may tell of its first process only
    assert outcome.peak_memory_bytes <= SMALL.memory_bytes


@pytest.mark.req("BOX-04")
async def test_a_fork_bomb_that_never_rests_ends_at_its_time(sandbox: Backend) -> None:
    script = "b() { b | b & }; b; while :; do sleep 1; done"
    outcome = await shell(sandbox, script, Command((), limits=replace(SMALL, wall_seconds=2)))
    assert outcome.end in {End.TIMEOUT, End.OUTPUT, End.EXITED}
    assert (await shell(sandbox, "echo fine")).stdout == b"fine\n"


@pytest.mark.req("BOX-02", "BOX-04")
async def test_fork_bomb_runs_into_its_limit(sandbox: Backend) -> None:
    script = (
        "import os,time\nn=0\n"
        "try:\n  while True:\n    if os.fork()==0: time.sleep(60); os._exit(0)\n    n+=1\n"
        "except OSError as e: print(n, e.errno)"
    )
    outcome = await python(sandbox, script)
    forked, code = map(int, outcome.stdout.split())
    assert code == 11
    assert forked <= SMALL.processes


@pytest.mark.req("BOX-02")
async def test_scratch_space_is_bounded(sandbox: Backend) -> None:
    script = "for i in 1 2 3 4 5; do head -c 4M /dev/zero >/tmp/$i || exit 28; done"
    outcome = await shell(sandbox, script)
    assert outcome.exit_status == 28
    assert b"No space left" in outcome.stderr


@pytest.mark.req("BOX-02")
async def test_shared_memory_is_bounded_too(sandbox: Backend) -> None:
    outcome = await shell(
        sandbox, "for i in 1 2 3 4 5; do head -c 4M /dev/zero >/dev/shm/$i || exit 28; done"
    )
    assert outcome.exit_status == 28


@pytest.mark.req("BOX-02")
async def test_a_file_cannot_grow_beyond_its_limit(sandbox: Backend, workspace: Path) -> None:
    command = Command((), workspace=workspace, workspace_writable=True, limits=SMALL)
    outcome = await shell(sandbox, "head -c 9M /dev/zero >big", command)
    assert not outcome.ok
    assert (workspace / "big").stat().st_size == SMALL.file_bytes


@pytest.mark.req("BOX-02", "BOX-04")
async def test_many_files_together_cannot_grow_beyond_the_limit(sandbox: Backend, workspace: Path) -> None:
    script = "i=0; while :; do i=$((i+1)); mkdir -p d$i; head -c 2M /dev/zero >d$i/f || exit 28; done"
    command = Command((), workspace=workspace, workspace_writable=True, limits=SMALL)
    outcome = await shell(sandbox, script, command)
    assert (outcome.end, outcome.exit_status) == (End.DISK, None)
    assert len(outcome.changed) > 15
    assert (workspace / "kept.txt").read_text() == "kept\n"


@pytest.mark.req("BOX-02")
async def test_one_that_is_quicker_than_the_watch_is_still_told(sandbox: Backend, workspace: Path) -> None:
    script = "for i in 1 2 3 4 5 6; do dd if=/dev/zero of=$i bs=7M count=1 status=none & done; wait"
    command = Command((), workspace=workspace, workspace_writable=True, limits=SMALL)
    assert (await shell(sandbox, script, command)).end is End.DISK


@pytest.mark.req("BOX-02")
async def test_a_writable_mount_counts_too(sandbox: Backend, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    command = Command((), mounts=(Mount(cache, "/opt/cache", writable=True),), limits=SMALL)
    script = "i=0; while :; do i=$((i+1)); head -c 4M /dev/zero >/opt/cache/$i || exit 28; done"
    assert (await shell(sandbox, script, command)).end is End.DISK


@pytest.mark.req("BOX-02")
async def test_what_was_there_does_not_count_against_it(sandbox: Backend, workspace: Path) -> None:
    for number in range(8):
        (workspace / str(number)).write_bytes(bytes(6 * MEBIBYTE))
    script = (
        "for i in 0 1 2 3; do printf x | dd of=$i conv=notrunc status=none; mv $i n$i; chmod +x n$i; done;"
        " for i in 4 5 6 7; do rm $i; head -c 6M /dev/zero >$i; done; sleep 0.5"
    )
    command = Command((), workspace=workspace, workspace_writable=True, limits=SMALL)
    outcome = await shell(sandbox, script, command)
    assert outcome.ok, (outcome.end, outcome.stderr)


@pytest.mark.req("BOX-02")
@pytest.mark.needs("processor shares")
@pytest.mark.parametrize("sandbox", [_way(name) for name in _SHARING], indirect=True)
async def test_the_share_of_the_processors_is_limited(sandbox: Backend) -> None:
    script = (
        "import time\nend=time.monotonic()+2\nused=time.process_time()\n"
        "while time.monotonic()<end: pass\nprint(time.process_time()-used)"
    )
    outcome = await python(sandbox, script, Command((), limits=replace(SMALL, cpus=0.25)))
    assert 0.05 < float(outcome.stdout) < 1.0


# --- escapes ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("BOX-02", "BOX-04")
async def test_nothing_but_the_workspace_can_be_written(sandbox: Backend, workspace: Path) -> None:
    script = (
        "for p in / /etc /usr /usr/bin /bin /lib /var /root /home /opt /dev /proc /sys /run /srv /mnt; do"
        " [ -d $p ] && touch $p/escaped 2>/dev/null && echo wrote $p; done;"
        " for f in /etc/passwd /usr/bin/env /proc/sys/kernel/core_pattern /proc/sysrq-trigger; do"
        " sh -c 'echo x >>$0' $f 2>/dev/null && echo wrote $f; done; true"
    )
    outcome = await shell(sandbox, script, Command((), workspace=workspace, limits=SMALL))
    assert (outcome.stdout, outcome.ok) == (b"", True)


@pytest.mark.req("BOX-04")
async def test_files_of_the_host_cannot_be_read(sandbox: Backend, workspace: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("key")
    (workspace / "link").symlink_to(secret)
    (workspace / "up").symlink_to("../../secret")
    script = (
        f"cat '{secret}' link up ../secret /work/../../secret /etc/shadow /proc/1/root'{secret}'"
        f" /proc/1/cwd'{secret}' /root/.ssh/id_rsa /proc/kcore /dev/mem /dev/vda /dev/sda"
    )
    outcome = await shell(sandbox, script, Command((), workspace=workspace, limits=SMALL))
    assert outcome.stdout == b""
    assert outcome.exit_status == 1


@pytest.mark.req("BOX-04")
async def test_links_made_inside_lead_nowhere_outside(
    sandbox: Backend, workspace: Path, tmp_path: Path
) -> None:
    """Whatever is made of links, hard or soft, also while a file is being written."""
    secret = tmp_path / "secret"
    secret.write_text("key")
    (workspace / "folder").mkdir()
    (workspace / "folder" / "secret").write_text("mine")
    script = (
        f"ln -s '{tmp_path}' up; cat up/secret; echo x >up/secret; rm -r folder; ln -s '{tmp_path}' folder;"
        f" cat folder/secret; echo x >>folder/secret; ln '{secret}' hard; ln /etc/passwd pass; mknod disk b 8 0;"
        " ln -s /proc/self/root/etc/shadow s; cat s; ln -s /proc/1/root r; ls r/home; cd /proc/self/root; cat ../../etc/shadow;"
        " for fd in /proc/*/fd/*; do case $(readlink $fd) in /work*|/dev/null|/memfd:*) ;; /*) echo open $fd;; esac; done"
    )
    command = Command((), workspace=workspace, workspace_writable=True, limits=SMALL)
    outcome = await shell(sandbox, script, command)
    assert outcome.stdout == b""
    assert secret.read_text() == "key"
    assert not {"hard", "pass", "disk"} & set(names_in(workspace))


@pytest.mark.req("BOX-04")
async def test_no_program_is_left_behind_that_runs_as_its_owner(sandbox: Backend, workspace: Path) -> None:
    """A setuid file in a workspace of root's would be a door for every user of the machine."""
    script = (
        "import os\nfor n, m in (('a', 0o4755), ('b', 0o2755), ('c', 0o6711)):\n"
        "  open(n, 'w').close()\n"
        "  for how in (lambda: os.chmod(n, m), lambda: os.fchmod(os.open(n, os.O_WRONLY), m), lambda: os.mknod(n + 'n', 0o100000 | m),"
        " lambda: os.close(os.open(n + 'o', os.O_CREAT | os.O_WRONLY, m)),"
        " lambda: os.link(f'/proc/self/fd/{os.open(chr(46), os.O_TMPFILE | os.O_RDWR, m)}', n + 't', src_dir_fd=0, follow_symlinks=True)):\n"
        "    try: os.umask(0); how()\n    except OSError: pass\n"
        "os.chmod('a', 0o755)\nos.chmod('b', 0o1644)\n"
    )
    command = Command((), workspace=workspace, workspace_writable=True, limits=SMALL)
    outcome = await python(sandbox, script, command)
    assert outcome.ok, outcome.stderr
    assert "a" in outcome.changed
    assert not any(mode & 0o6000 for mode in modes_in(workspace).values())
    assert modes_in(workspace)["a"] == 0o755


@pytest.mark.req("BOX-04")
@pytest.mark.needs("root")  # an ordinary user's own files are readable where that user mounts them
async def test_a_private_file_of_ours_in_a_mount_cannot_be_read(sandbox: Backend, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "key").write_text("key")
    (shared / "key").chmod(0o600)
    outcome = await shell(
        sandbox, "cat /opt/s/key", Command((), mounts=(Mount(shared, "/opt/s"),), limits=SMALL)
    )
    assert outcome.stdout == b""
    assert b"Permission denied" in outcome.stderr


@pytest.mark.req("BOX-02")
async def test_no_environment_of_the_host_is_passed_on(
    sandbox: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULLPEN_TEST_SECRET", "key")
    outcome = await sandbox.run(Command(("env",), env={"GIVEN": "yes"}, limits=SMALL))
    first = await shell(sandbox, "cat /proc/1/environ /proc/*/environ")
    assert b"SECRET" not in first.stdout
    names = {line.split(b"=")[0] for line in outcome.stdout.splitlines()}
    assert b"GIVEN" in names
    assert names <= {b"GIVEN", b"PATH", b"HOME", b"TMPDIR", b"USER", b"LOGNAME", b"LANG", b"PWD", b"HOSTNAME"}


@pytest.mark.req("BOX-02", "BOX-04")
async def test_it_runs_without_privileges_and_cannot_gain_any(sandbox: Backend) -> None:
    outcome = await shell(
        sandbox, "id -u; id -G; grep -E '^(CapInh|CapPrm|CapEff|CapAmb|NoNewPrivs)' /proc/self/status"
    )
    lines = outcome.stdout.decode().split("\n")
    assert (lines[0], lines[1]) == ("10001", "10001")
    assert all(line.split()[1] == "0" * 16 for line in lines[2:] if line.startswith("Cap"))
    assert "NoNewPrivs:\t1" in lines
    assert (await python(sandbox, "import os; os.setuid(0)")).exit_status == 1


@pytest.mark.req("BOX-04")
async def test_no_new_namespace_and_no_mount(sandbox: Backend) -> None:
    script = (
        "import ctypes,errno\nlibc=ctypes.CDLL(None,use_errno=True)\n"
        "def t(name,r): print(name, 'done' if r>=0 else 'refused')\n"
        "t('userns', libc.unshare(0x10000000))\nt('netns', libc.unshare(0x40000000))\n"
        "t('mount', libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))\n"
        "t('clone', libc.syscall(56, 0x10000000|17, 0,0,0,0))\n"
        "t('bpf', libc.syscall(321,0,0,0))\nt('keyctl', libc.syscall(250,0,-3,1))\n"
    )
    outcome = await python(sandbox, script)
    answers = dict(line.split() for line in outcome.stdout.decode().splitlines())
    assert set(answers) == {"userns", "netns", "mount", "clone", "bpf", "keyctl"}
    assert set(answers.values()) == {"refused"}


@pytest.mark.req("BOX-02", "BOX-04")
async def test_no_network_not_even_the_hosts_own(sandbox: Backend) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = (
            "import socket\n"
            f"for where in (('127.0.0.1',{port}),('192.0.2.1',80),('169.254.169.254',80)):\n"
            "  try: socket.create_connection(where, 2); print('reached', where)\n"
            "  except OSError: pass\n"
            "try: print('resolved', socket.getaddrinfo('example.com', 80))\n"
            "except OSError: pass\n"
            "try: socket.socket(40, socket.SOCK_STREAM).connect((2, 1)); print('reached the machine below')\n"
            "except OSError: pass\n"
            "print(sorted(n for _, n in socket.if_nameindex()))\n"
        )
        outcome = await python(sandbox, script)
    assert outcome.stdout == b"['lo']\n", outcome.stderr


@pytest.mark.req("BOX-04")
async def test_sockets_of_the_host_cannot_be_reached(sandbox: Backend) -> None:
    name = f"\0bullpen-contract-{os.getpid()}".encode()  # of its own: tests run side by side
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        script = (
            "import socket\n"
            f"for where in ({name!r}, '/run/docker.sock', '/var/run/docker.sock', '/run/dbus/system_bus_socket'):\n"
            "  try: socket.socket(socket.AF_UNIX).connect(where); print('reached', where)\n"
            "  except OSError: pass\n"
        )
        outcome = await python(sandbox, script)
    assert (outcome.stdout, outcome.ok) == (b"", True)


async def test_the_hosts_network_by_request(sandbox: Backend) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"import socket; socket.create_connection(('127.0.0.1',{port}), 5); print('reached')"
        outcome = await python(sandbox, script, Command((), limits=SMALL, network=Network.HOST))
    assert outcome.stdout == b"reached\n", outcome.stderr


# --- single hosts -----------------------------------------------------------------------------------------------------

GET = """
import socket, sys, urllib.error, urllib.request
for url in sys.argv[1:]:
    try:
        print("got", urllib.request.urlopen(url, timeout=30).read().decode())
    except urllib.error.HTTPError as error:
        print(error.code, error.reason)
    except OSError as error:
        print(error)
"""
DIRECT = """
import os, socket, sys
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
    print("reached")
except OSError as error:
    print("refused")
del os.environ["HTTP_PROXY"], os.environ["http_proxy"]
"""
TUNNEL = """
import os, socket, sys
proxy = os.environ["HTTPS_PROXY"].removeprefix("http://").split(":")
line = socket.create_connection((proxy[0], int(proxy[1])), 30)
line.sendall(f"CONNECT {sys.argv[1]} HTTP/1.1\\r\\nHost: {sys.argv[1]}\\r\\n\\r\\n".encode())
answer = line.recv(4096)
print(answer.split(b"\\r\\n")[0].decode(), flush=True)
if b" 200 " not in answer:
    sys.exit()
line.sendall(b"hello")
line.shutdown(socket.SHUT_WR)
data = b""
while part := line.recv(4096):
    data += part
print(data.decode())
"""


@asynccontextmanager
async def served(name: str) -> AsyncIterator[int]:
    """The port of a server on this machine's loopback that answers every request with its name."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\nConnection: close\r\n\r\n"
        writer.write((head + name).encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[int, asyncio.Queue[str]]]:
    """The port of a server that gives back what it gets, in capitals; and what became of its connections."""
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write((await reader.read(-1)).upper())
            ended.put_nowait("read to its end")
        except ConnectionError:
            ended.put_nowait("broken off")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], ended


def lines_of(outcome: Outcome) -> list[str]:
    assert outcome.ok, outcome.stderr
    return outcome.stdout.decode().splitlines()


@pytest.mark.req("BOX-02")
@pytest.mark.parametrize("sandbox", [_way(name) for name in _HERE], indirect=True)
async def test_an_allowed_host_is_reached_and_every_other_refused(sandbox: Backend) -> None:
    async with served("one") as allowed, served("two") as other:
        urls = [f"http://127.0.0.1:{port}/" for port in (allowed, other)]
        asked = (*urls, "http://example.org/", "https://example.org/x")
        hosts = (f"127.0.0.1:{allowed}",)
        outcome = await sandbox.run(Command(("python3", "-c", GET, *asked), hosts=hosts, limits=SMALL))
    first, second, third, fourth = lines_of(outcome)
    assert first == "got one"
    for line, refused in (
        (second, f"127.0.0.1:{other}"),
        (third, "example.org:80"),
        (fourth, "example.org:443"),
    ):
        assert f"403 Bullpen's sandbox: {refused} is not among the allowed hosts" in line
    assert outcome.refused_hosts == (f"127.0.0.1:{other}", "example.org:80", "example.org:443")


@pytest.mark.req("BOX-02", "BOX-04")
@pytest.mark.parametrize("sandbox", [_way(name) for name in _HERE], indirect=True)
async def test_past_the_proxy_nothing_is_reached(sandbox: Backend) -> None:
    async with served("one") as allowed:
        command = Command(
            ("python3", "-c", DIRECT, str(allowed)), hosts=(f"127.0.0.1:{allowed}",), limits=SMALL
        )
        outcome = await sandbox.run(command)
        direct = await python(
            sandbox,
            "import socket\n"
            "for where in (('192.0.2.1',80),('169.254.169.254',80),('10.0.0.1',443)):\n"
            "  try: socket.create_connection(where, 2); print('reached', where)\n"
            "  except OSError: pass\n"
            "try: print('resolved', socket.getaddrinfo('example.org', 80))\n"
            "except OSError: pass\n"
            "print([n for _, n in socket.if_nameindex()])\n",
            Command((), hosts=(f"127.0.0.1:{allowed}",), limits=SMALL),
        )
    assert lines_of(outcome) == ["refused"]
    assert lines_of(direct) == ["['lo']"]
    assert outcome.refused_hosts == ()


@pytest.mark.req("BOX-02")
@pytest.mark.parametrize("sandbox", [_way(name) for name in _HERE], indirect=True)
async def test_a_tunnel_carries_both_ways_to_the_end(sandbox: Backend) -> None:
    async with echoing() as (port, _):
        command = Command(
            ("python3", "-c", TUNNEL, f"127.0.0.1:{port}"), hosts=(f"127.0.0.1:{port}",), limits=SMALL
        )
        assert lines_of(await sandbox.run(command)) == ["HTTP/1.1 200 Connection established", "HELLO"]


@pytest.mark.req("BOX-02", "BOX-04")
@pytest.mark.parametrize("sandbox", [_way(name) for name in _HERE], indirect=True)
async def test_a_name_that_leads_to_a_private_address_is_refused(sandbox: Backend) -> None:
    async with served("one") as port:
        host = f"localhost:{port}"
        command = Command(("python3", "-c", TUNNEL, host), hosts=(host,), limits=SMALL)
        outcome = await sandbox.run(command)
    assert f"403 Bullpen's sandbox: {host} leads to a private address" in lines_of(outcome)[0]
    assert outcome.refused_hosts == (host,)


@pytest.mark.req("BOX-02")
@pytest.mark.parametrize("sandbox", [_way(name) for name in _HERE], indirect=True)
async def test_many_at_once_reach_each_their_own(sandbox: Backend) -> None:
    async with served("one") as one, served("two") as two:
        urls = [f"http://127.0.0.1:{port}/" for port in (one, two)]

        async def get(port: int) -> Outcome:
            command = Command(
                ("python3", "-c", GET, *urls), hosts=(f"127.0.0.1:{port}",), limits=LIMITS_FOR_MANY
            )
            return await sandbox.run(command)

        outcomes = await asyncio.gather(*(get(port) for port in [one, two] * 4))
    for outcome, mine, its in zip(outcomes, ["one", "two"] * 4, [two, one] * 4, strict=True):
        assert [line for line in lines_of(outcome) if line.startswith("got")] == [f"got {mine}"]
        assert outcome.refused_hosts == (f"127.0.0.1:{its}",)


@pytest.mark.req("BOX-02")
@pytest.mark.parametrize("sandbox", [_way(name) for name in _HERE], indirect=True)
async def test_the_end_of_a_command_ends_its_connections(sandbox: Backend) -> None:
    script = TUNNEL.replace("line.shutdown(socket.SHUT_WR)", "import time; time.sleep(600)")
    async with echoing() as (port, ended):
        host = f"127.0.0.1:{port}"
        limits = replace(SMALL, wall_seconds=3)
        outcome = await sandbox.run(Command(("python3", "-c", script, host), hosts=(host,), limits=limits))
        assert outcome.end is End.TIMEOUT
        assert outcome.stdout.startswith(b"HTTP/1.1 200")
        assert await asyncio.wait_for(ended.get(), 30)


@pytest.mark.parametrize(
    "hosts",
    [
        ("example.org",),
        ("example.org:0",),
        (":80",),
        ("a b:80",),
        ("127.1:80",),
        ("[::1:80",),
        ("http://a:80",),
    ],
)
async def test_what_is_no_host_is_refused(sandbox: Backend, hosts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput):
        await sandbox.run(Command(("true",), hosts=hosts, limits=SMALL))


async def test_the_hosts_network_and_single_hosts_exclude_each_other(sandbox: Backend) -> None:
    with pytest.raises(InvalidInput, match="not both"):
        await sandbox.run(Command(("true",), hosts=("a.example:80",), network=Network.HOST, limits=SMALL))


# --- processes --------------------------------------------------------------------------------------------------------


@pytest.mark.req("BOX-04")
async def test_processes_of_the_host_cannot_be_seen_or_signalled(sandbox: Backend) -> None:
    script = (
        f"import os\nprint(len([p for p in os.listdir('/proc') if p.isdigit()]) < 8)\n"
        f"for pid in ({os.getpid()}, {os.getppid()}, -1, 1):\n"
        "  try:\n    os.kill(pid, 0 if pid == -1 else 9)\n    if pid > 1: print('signalled', pid)\n"
        "  except OSError: pass\n"
        "print('alive')\n"
    )
    outcome = await python(sandbox, script)
    assert outcome.stdout == b"True\nalive\n"


@pytest.mark.req("BOX-04")
@pytest.mark.parametrize("way", ["ends", "times out"])
async def test_nothing_is_left_running(sandbox: Backend, workspace: Path, way: str) -> None:
    """A daemon far from its parent would go on writing; a lock it holds is free once it is dead."""
    (workspace / "lock").write_text("")
    script = (
        "import fcntl,os,time,sys\nr,w=os.pipe()\n"
        "if os.fork()==0:\n  os.setsid()\n  if os.fork()==0:\n    f=open('lock','r+'); fcntl.flock(f,2)\n"
        "    os.write(w,b'x')\n    for n in (0,1,2): os.close(n)\n    time.sleep(600)\n  os._exit(0)\n"
        f"os.read(r,1)\nprint('locked',flush=True)\ntime.sleep({600 if way == 'times out' else 0})"
    )
    limits = replace(SMALL, wall_seconds=3 if way == "times out" else 60)
    command = Command((), workspace=workspace, workspace_writable=True, limits=limits)
    outcome = await python(sandbox, script, command)
    assert outcome.stdout == b"locked\n", outcome.stderr
    assert _lock_is_free(workspace / "lock")


@pytest.mark.req("BOX-04")
@pytest.mark.parametrize("sandbox", [_way(name) for name in _HERE], indirect=True)
async def test_cancelling_kills_everything(sandbox: Backend, workspace: Path) -> None:
    (workspace / "lock").write_text("")
    locked = asyncio.Event()
    script = "import fcntl,time; f=open('lock','r+'); fcntl.flock(f,2); print('locked',flush=True); time.sleep(600)"
    command = Command(("python3", "-c", script), workspace=workspace, workspace_writable=True, limits=SMALL)
    task = asyncio.create_task(sandbox.run(command, lambda _: locked.set()))
    await asyncio.wait_for(locked.wait(), 30)
    assert not _lock_is_free(workspace / "lock")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert _lock_is_free(workspace / "lock")


async def test_cancelling_at_any_early_moment_leaves_nothing(sandbox: Backend, workspace: Path) -> None:
    command = Command(("sleep", "600"), workspace=workspace, workspace_writable=True, limits=SMALL)
    for turns in range(0, 12, 3):
        task = asyncio.create_task(sandbox.run(command))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.slow
async def test_twenty_at_once_do_not_mix(sandbox: Backend, workspace: Path) -> None:
    shared = any("shared" in weakness for weakness in (await sandbox.probe()).weaknesses)
    limits = replace(SMALL, processes=SMALL.processes * (20 if shared else 1))

    async def one(number: int) -> Outcome:
        command = Command((), workspace=workspace, limits=limits, stdin=str(number).encode())
        return await shell(sandbox, "cat; echo; ls /tmp; touch /tmp/mine; cat kept.txt", command)

    outcomes = await asyncio.gather(*(one(number) for number in range(20)))
    assert [outcome.stdout for outcome in outcomes] == [f"{number}\nkept\n".encode() for number in range(20)]


@pytest.mark.parametrize(
    "command",
    [
        Command(()),
        Command(("",)),
        Command(("a\0b",)),
        Command(("true",), env={"A=B": "x"}),
        Command(("true",), env={"": "x"}),
        Command(("true",), workspace=Path("/nonexistent-workspace")),
        Command(("true",), mounts=(Mount(Path("/usr"), "relative"),)),
        Command(("true",), mounts=(Mount(Path("/usr"), "/a/../b"),)),
        Command(("true",), mounts=(Mount(Path("/usr"), "/"),)),
    ],
)
async def test_what_cannot_be_run_faithfully_is_refused(sandbox: Backend, command: Command) -> None:
    with pytest.raises(InvalidInput):
        await sandbox.run(command)


def _lock_is_free(path: Path) -> bool:
    import fcntl

    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
