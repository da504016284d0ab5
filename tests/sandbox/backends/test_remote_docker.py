"""What only a Docker host elsewhere can get wrong: what travels, what stays there, and that it may go away."""

import asyncio
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.machine.docker_engine import make_certificates, serve_remote
from tests.machine.server import free_port

from bullpen.domain.errors import InvalidInput, Missing, Unavailable
from bullpen.sandbox.backends import _docker_remote
from bullpen.sandbox.backends.remote_docker import RemoteDocker
from bullpen.sandbox.base import MEBIBYTE, Command, End, Limits, Mount

pytestmark = [pytest.mark.needs("remote_docker"), pytest.mark.slow]
SMALL = Limits(memory_bytes=192 * MEBIBYTE, processes=32, wall_seconds=60, disk_bytes=32 * MEBIBYTE)


@pytest.fixture
def sandbox(remote_engine: dict[str, str]) -> RemoteDocker:
    return RemoteDocker(environment=remote_engine)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "kept.txt").write_text("kept\n")
    return folder


def engine_of(sandbox: RemoteDocker) -> Any:
    return sandbox._link.engine().api


def ours(sandbox: RemoteDocker) -> tuple[int, int]:
    """How many containers and volumes with our label are there."""
    mine = {"label": ["bullpen.owner"]}
    api = engine_of(sandbox)
    return len(api.containers(all=True, filters=mine)), len(api.volumes(filters=mine)["Volumes"] or ())


async def sh(sandbox: RemoteDocker, script: str, **asked: Any) -> Any:
    return await sandbox.run(Command(("sh", "-c", script), limits=SMALL, **asked))


@pytest.mark.req("BOX-01")
async def test_it_works_and_says_what_is_weaker(sandbox: RemoteDocker) -> None:
    probe = await sandbox.probe()
    assert probe.works
    assert "single hosts cannot be reached" in probe.weaknesses


@pytest.mark.req("BOX-01")
async def test_this_machines_folders_are_not_there(sandbox: RemoteDocker, workspace: Path) -> None:
    """So all that the other tests see has travelled."""
    made = engine_of(sandbox).create_container(
        sandbox._link.engine().base_image(),
        ["true"],
        host_config=engine_of(sandbox).create_host_config(binds={"/tmp": {"bind": "/seen", "mode": "ro"}}),
    )
    found, _ = engine_of(sandbox).get_archive(made["Id"], "/seen")
    seen = b"".join(found)
    engine_of(sandbox).remove_container(made["Id"])
    assert workspace.is_relative_to("/tmp")
    assert workspace.parts[2].encode() not in seen


@pytest.mark.req("BOX-06")
async def test_changes_of_every_kind_come_back(sandbox: RemoteDocker, workspace: Path) -> None:
    odd = os.fsdecode(b"odd \xff\n")
    (workspace / odd).write_text("x")
    (workspace / "removed").write_text("")
    (workspace / "folder").mkdir()
    (workspace / "folder" / "f").write_text("")
    script = (
        "chmod 4751 kept.txt; rm -r removed folder; ln -s /etc/passwd link; ln kept.txt hard; mkdir -m 700 d; mkfifo p;"
        " for f in odd*; do echo y >>\"$f\"; done; touch d/$(printf 'n\\377'); mkdir empty"
    )
    outcome = await sh(sandbox, script, workspace=workspace, workspace_writable=True)
    assert outcome.ok, outcome.stderr
    new = os.fsdecode(b"d/n\xff")
    assert set(outcome.changed) == {"kept.txt", "removed", "folder/f", "link", "hard", "p", odd, new}
    assert (workspace / odd).read_text() == "xy\n"
    assert (workspace / "link").readlink() == Path("/etc/passwd")
    assert (workspace / "hard").samefile(workspace / "kept.txt")
    assert stat.S_IMODE((workspace / "kept.txt").stat().st_mode) == 0o751
    assert stat.S_IMODE((workspace / "d").stat().st_mode) == 0o700
    assert (workspace / "empty").is_dir()
    assert not (workspace / "folder").exists()
    assert stat.S_ISFIFO((workspace / "p").lstat().st_mode)
    assert ours(sandbox) == (0, 0)


async def test_mounts_of_every_kind(sandbox: RemoteDocker, workspace: Path, tmp_path: Path) -> None:
    for name in ("cache", "modules"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    (tmp_path / "tool").write_text("#!/bin/sh\necho tool\n")
    (tmp_path / "tool").chmod(0o755)
    (workspace / "modules").mkdir()
    (workspace / "modules" / "own").write_text("own")
    mounts = (
        Mount(tmp_path / "tool", "/opt/bullpen/bin/tool"),
        Mount(tmp_path / "cache", "/tmp/cache"),
        Mount(tmp_path / "cache", "/opt/bullpen/cache", writable=True),
        Mount(tmp_path / "modules", "/work/modules"),
    )
    script = "/opt/bullpen/bin/tool; cat /tmp/cache/f; ls modules; rm /opt/bullpen/cache/f; echo x >/opt/bullpen/bin/tool; rm /tmp/cache/f"
    outcome = await sh(sandbox, script, workspace=workspace, workspace_writable=True, mounts=mounts)
    assert outcome.stdout == b"tool\ncachef\n"
    assert (outcome.exit_status, outcome.changed) == (1, ())
    assert list((tmp_path / "cache").iterdir()) == []
    assert (workspace / "modules" / "own").read_text() == "own"
    assert (tmp_path / "modules" / "f").read_text() == "modules"


async def test_a_single_file_to_write_and_a_place_among_programs_are_refused(
    sandbox: RemoteDocker, workspace: Path
) -> None:
    for mount in (Mount(workspace / "kept.txt", "/opt/x", writable=True), Mount(workspace, "/usr/local/x")):
        with pytest.raises(InvalidInput):
            await sh(sandbox, "true", mounts=(mount,))


@pytest.mark.req("BOX-02")
async def test_single_hosts_are_refused_rather_than_more_given(sandbox: RemoteDocker) -> None:
    with pytest.raises(Missing, match="single hosts"):
        await sh(sandbox, "true", hosts=("example.org:443",))


async def test_what_is_only_read_travels_once_for_each_content(sandbox: RemoteDocker, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "f").write_text("one")
    asked = {"mounts": (Mount(shared, "/opt/shared"),)}

    def layers() -> set[str]:
        return {one["Id"] for one in engine_of(sandbox).images(filters={"label": ["bullpen.layer"]})}

    before = layers()
    for _ in range(2):
        assert (await sh(sandbox, "cat /opt/shared/f", **asked)).stdout == b"one"
    assert (
        await RemoteDocker(environment=sandbox.environment).run(Command(("cat", "/opt/shared/f"), **asked))
    ).ok
    assert len(layers() - before) == 1
    (shared / "f").write_text("two")
    assert (await sh(sandbox, "cat /opt/shared/f", **asked)).stdout == b"two"
    assert len(layers() - before) == 2


async def test_old_layers_go_and_are_sent_again(
    sandbox: RemoteDocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_text("old")
    asked = {"mounts": (Mount(tmp_path / "f", "/opt/f"),)}
    assert (await sh(sandbox, "cat /opt/f", **asked)).stdout == b"old"
    monkeypatch.setattr(_docker_remote, "_LAYER_SECONDS", -10)  # all are old now
    sandbox._link.engine().sweep()
    assert engine_of(sandbox).images(filters={"label": ["bullpen.layer"]}) == []
    assert (await sh(sandbox, "cat /opt/f", **asked)).stdout == b"old"


@pytest.mark.req("BOX-02")
async def test_files_with_holes_do_not_fill_this_machine(sandbox: RemoteDocker, workspace: Path) -> None:
    script = "i=0; while [ $i -lt 12 ]; do i=$((i+1)); truncate -s 50M f$i; done"
    outcome = await sh(sandbox, script, workspace=workspace, workspace_writable=True)
    assert outcome.end is End.DISK
    assert not (workspace / "f1").exists()


@pytest.mark.req("BOX-02")
async def test_keys_and_certificates_of_the_way_there_do_not_travel(
    sandbox: RemoteDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CERT_PATH", sandbox.environment["DOCKER_CERT_PATH"])
    outcome = await sh(sandbox, "env; cat /proc/1/environ; ls -d /var /var/tmp /root /home")
    assert b"DOCKER" not in outcome.stdout
    assert outcome.exit_status == 2


@pytest.mark.req("BOX-04")
async def test_a_cancelled_command_leaves_nothing_there_and_changes_nothing_here(
    sandbox: RemoteDocker, workspace: Path
) -> None:
    begun = asyncio.Event()
    command = Command(
        ("sh", "-c", "echo x >kept.txt; echo begun; exec sleep 600"),
        workspace=workspace, workspace_writable=True, limits=SMALL,
    )  # fmt: skip
    task = asyncio.create_task(sandbox.run(command, lambda _: begun.set()))
    await asyncio.wait_for(begun.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ours(sandbox) == (0, 0)
    assert (workspace / "kept.txt").read_text() == "kept\n"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for an engine that may be ended."""
    folder = Path(tempfile.mkdtemp(prefix="bullpen-remote-", dir="/var/tmp"))
    make_certificates(folder)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.req("BOX-01")
async def test_a_host_that_goes_away_is_said_and_swept_when_it_is_back(place: Path, workspace: Path) -> None:
    port, begun = free_port(), asyncio.Event()
    command = Command(
        ("sh", "-c", "echo x >kept.txt; echo begun; exec sleep 600"),
        workspace=workspace, workspace_writable=True, limits=replace(SMALL, wall_seconds=100),
    )  # fmt: skip
    with serve_remote(place, port, rude=True) as environment:
        sandbox = RemoteDocker(environment=environment)
        task = asyncio.create_task(sandbox.run(command, lambda _: begun.set()))
        await asyncio.wait_for(begun.wait(), 60)
    with pytest.raises(Unavailable, match="does not answer"):
        await task
    assert (workspace / "kept.txt").read_text() == "kept\n"
    assert not (await sandbox.probe()).works
    with serve_remote(place, port):
        left = RemoteDocker(environment=environment)
        assert (await sandbox.probe()).works
        assert ours(left) == (0, 0)


@pytest.mark.req("BOX-01")
async def test_who_is_not_known_to_the_host_and_whom_we_do_not_know_is_refused(
    remote_engine: dict[str, str], tmp_path: Path
) -> None:
    make_certificates(tmp_path)
    probe = await RemoteDocker(environment={**remote_engine, "DOCKER_CERT_PATH": str(tmp_path)}).probe()
    assert not probe.works
    assert "certificate verify failed" in probe.reason
    name = "ca.pem"
    shutil.copy(Path(remote_engine["DOCKER_CERT_PATH"]) / name, tmp_path / name)
    probe = await RemoteDocker(environment={**remote_engine, "DOCKER_CERT_PATH": str(tmp_path)}).probe()
    assert not probe.works
