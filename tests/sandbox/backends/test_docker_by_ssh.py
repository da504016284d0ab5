"""A Docker host that is reached by the ``ssh`` command."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.machine.ssh_server import SshServer

from bullpen.domain.errors import Unavailable
from bullpen.sandbox.backends._docker_address import open_tunnel, read_address
from bullpen.sandbox.backends.remote_docker import RemoteDocker
from bullpen.sandbox.base import Command, Limits

pytestmark = [pytest.mark.needs("remote_docker", "ssh server"), pytest.mark.slow]


@pytest.fixture
def environment(
    ssh_server: SshServer, remote_engine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """An engine's own socket on the other side, and a way to it."""
    monkeypatch.setenv("PATH", f"{ssh_server.programs}:{os.environ['PATH']}")
    path = f"{remote_engine['DOCKER_CERT_PATH']}/run/socket"
    return {"DOCKER_HOST": f"ssh://root@127.0.0.1:{ssh_server.port}{path}"}


@pytest.mark.req("BOX-01")
async def test_a_command_runs_there_and_its_changes_come_back(
    environment: dict[str, str], tmp_path: Path
) -> None:
    data = os.urandom(200_000)
    command = Command(("tee", "new"), workspace=tmp_path, workspace_writable=True, stdin=data)
    outcome = await RemoteDocker(environment=environment).run(command)
    assert (outcome.stdout, outcome.changed) == (data, ("new",))
    assert (tmp_path / "new").read_bytes() == data


@pytest.mark.req("BOX-01")
async def test_a_way_that_breaks_is_said_and_made_anew(environment: dict[str, str], tmp_path: Path) -> None:
    sandbox, begun = RemoteDocker(environment=environment), asyncio.Event()
    command = Command(
        ("sh", "-c", "echo begun; exec sleep 600"), workspace=tmp_path, limits=Limits(wall_seconds=100)
    )
    task = asyncio.create_task(sandbox.run(command, lambda _: begun.set()))
    await asyncio.wait_for(begun.wait(), 60)
    tunnel = sandbox._link.engine().tunnel
    assert tunnel is not None
    tunnel.process.kill()
    with pytest.raises(Unavailable, match="does not answer"):
        await task
    assert not tunnel.folder.exists()
    assert (await sandbox.probe()).works
    mine = {"label": ["bullpen.owner"]}
    assert sandbox._link.engine().api.containers(all=True, filters=mine) == []
    sandbox._link.drop()


@pytest.mark.req("BOX-01")
def test_the_way_ends_when_we_do(environment: dict[str, str]) -> None:
    """Whoever reads from us on the other side meets the end, and with it the command that keeps the way open."""
    tunnel = open_tunnel(read_address(environment))
    assert tunnel.process.stdin is not None
    tunnel.process.stdin.close()
    assert tunnel.process.wait(30) == 0
    tunnel.close()


async def test_a_machine_that_does_not_let_us_in_is_said(environment: dict[str, str]) -> None:
    host = environment["DOCKER_HOST"].replace("127.0.0.1", "127.0.0.2")  # where nobody listens
    probe = await RemoteDocker(environment={"DOCKER_HOST": host}).probe()
    assert not probe.works
    assert "cannot be reached by ssh" in probe.reason
